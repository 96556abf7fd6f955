"""Accounts in the staff area."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import EmailField, PasswordField, TextField
from accounts.api.serializers import DetailsSerializer, UserSerializer
from accounts.api.staff import StaffView
from accounts.models import User
from accounts.services import customers
from config.pagination import SliceParameters
from config.parameters import path_id
from config.schema import ErrorSerializer


class UserFilterSerializer(SliceParameters):
    status = serializers.ChoiceField(User.Status.choices, required=False)
    search = TextField(
        required=False, allow_blank=True, max_length=254, help_text="A part of the e-mail."
    )


class StaffUserSerializer(UserSerializer):
    details = serializers.SerializerMethodField()

    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "last_login", "details"]
        read_only_fields = fields

    @extend_schema_field(DetailsSerializer(allow_null=True))
    def get_details(self, user: User) -> Any:
        known = getattr(user, "billing_details", None)
        return DetailsSerializer(known).data if known else None


class UserChangeSerializer(serializers.Serializer):
    """What is not named stays; who is staff is not to be changed here."""

    email = EmailField(required=False)
    details = DetailsSerializer(required=False)


class NewUserSerializer(UserChangeSerializer):
    email = EmailField()
    password = PasswordField(
        required=False, help_text="Without one, the customer is mailed a link to set theirs."
    )


class WhySerializer(serializers.Serializer):
    reason = TextField(
        required=False, default="By the API.", max_length=500, help_text="Kept in the history."
    )


ONE = inline_serializer("StaffOneUser", {"user": StaffUserSerializer()})


@extend_schema(tags=["staff: users"])
class StaffUserViewSet(StaffView, viewsets.ViewSet):
    needs = {
        "list": "accounts.view_user",
        "create": "accounts.add_user",
        "retrieve": "accounts.view_user",
        "update": "accounts.change_user",
        "suspend": "accounts.change_user",
        "activate": "accounts.change_user",
    }

    @extend_schema(
        operation_id="staff_users_list",
        parameters=[UserFilterSerializer],
        responses={
            200: inline_serializer(
                "StaffUsers",
                {
                    "users": StaffUserSerializer(many=True),
                    "total": serializers.IntegerField(),
                    "limit": serializers.IntegerField(),
                    "offset": serializers.IntegerField(),
                },
            ),
            400: ErrorSerializer,
        },
    )
    def list(self, request: Request) -> Response:
        """Customers and staff, newest first."""
        form = UserFilterSerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        limit, offset = asked["limit"], asked["offset"]
        rows = _rows()
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        if asked.get("search"):
            rows = rows.filter(email__contains=asked["search"].lower())
        shown = rows.order_by("-id")[offset : offset + limit]
        return Response(
            {
                "users": StaffUserSerializer(shown, many=True).data,
                "total": rows.count(),
                "limit": limit,
                "offset": offset,
            }
        )

    @extend_schema(
        operation_id="staff_user_create",
        request=NewUserSerializer,
        responses={201: StaffUserSerializer, 409: ErrorSerializer},
    )
    def create(self, request: Request) -> Response:
        """Open an account for a customer."""
        form = NewUserSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        told = form.validated_data
        made = customers.create(
            email=told["email"],
            password=told.get("password"),
            given=told.get("details", {}),
            by=request.user,
            now=timezone.now(),
        )
        return Response(StaffUserSerializer(_find(str(made.pk))).data, status=201)

    @extend_schema(operation_id="staff_user", responses=ONE)
    def retrieve(self, request: Request, pk: str) -> Response:
        return _answer(pk)

    @extend_schema(
        operation_id="staff_user_update",
        request=UserChangeSerializer,
        responses={200: ONE, 409: ErrorSerializer},
    )
    def update(self, request: Request, pk: str) -> Response:
        """Change the e-mail or the billing details."""
        user = _find(pk)
        form = UserChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        told = form.validated_data
        customers.edit(
            user=user,
            email=told.get("email"),
            given=told.get("details", {}),
            by=request.user,
            now=timezone.now(),
        )
        return _answer(pk)

    @extend_schema(operation_id="staff_user_suspend", request=WhySerializer, responses=ONE)
    def suspend(self, request: Request, pk: str) -> Response:
        """Shut somebody out, at once: every session ends."""
        user, reason = _find(pk), _reason(request)
        customers.suspend(user=user, by=request.user, reason=reason, now=timezone.now())
        return _answer(pk)

    @extend_schema(operation_id="staff_user_activate", request=WhySerializer, responses=ONE)
    def activate(self, request: Request, pk: str) -> Response:
        """Let somebody in again."""
        user, reason = _find(pk), _reason(request)
        customers.activate(user=user, by=request.user, reason=reason, now=timezone.now())
        return _answer(pk)


def _reason(request: Request) -> str:
    form = WhySerializer(data=request.data)
    form.is_valid(raise_exception=True)
    return form.validated_data["reason"]


def _rows() -> QuerySet[User]:
    return User.objects.select_related("billing_details")


def _find(pk: str) -> User:
    user = _rows().filter(pk=path_id(pk)).first()
    if user is None:
        raise Http404
    return user


def _answer(pk: str) -> Response:
    return Response({"user": StaffUserSerializer(_find(pk)).data})
