"""The account of whoever is signed in."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.serializers import (
    DoneSerializer,
    OwnDetailsSerializer,
    PasswordChangeSerializer,
    ProfileSerializer,
)
from accounts.models import BillingDetails
from accounts.services import details, passwords


class Profile(APIView):
    @extend_schema(tags=["accounts"], operation_id="profile", responses=ProfileSerializer)
    def get(self, request: Request) -> Response:
        """Who is signed in, and their billing details, if they have given any."""
        return Response(ProfileSerializer(request.user).data)


class Details(APIView):
    @extend_schema(tags=["accounts"], operation_id="details", responses=OwnDetailsSerializer)
    def get(self, request: Request) -> Response:
        """What goes on the next invoice; empty texts where nothing was given."""
        known = getattr(request.user, "billing_details", None) or BillingDetails()
        known.user = request.user
        return Response(OwnDetailsSerializer(known).data)

    @extend_schema(
        tags=["accounts"],
        operation_id="details_update",
        request=OwnDetailsSerializer,
        responses=OwnDetailsSerializer,
    )
    def put(self, request: Request) -> Response:
        """Replace the fields that are named; the others stay."""
        form = OwnDetailsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = {**form.validated_data}
        told = given.pop("user", {})
        updated = details.update_own(user=request.user, **told, **given)
        return Response(OwnDetailsSerializer(updated).data)


class ChangePassword(APIView):
    @extend_schema(
        tags=["accounts"],
        operation_id="change_password",
        request=PasswordChangeSerializer,
        responses=DoneSerializer,
    )
    def post(self, request: Request) -> Response:
        """Replace the password. Every other session ends; this one goes on."""
        form = PasswordChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        passwords.change(
            user=request.user, session=request.auth, **form.validated_data, now=timezone.now()
        )
        return Response({"success": True})
