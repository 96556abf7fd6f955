"""What is kept of whoever is signed in, to take along."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.services import personal_data


class Rows(serializers.ListField):
    child = serializers.DictField()


def _sections() -> dict[str, serializers.Field]:
    return {name: Rows() for name in (*personal_data.SECTIONS, "failed_log_ins")}


PersonalDataSerializer = type(
    "PersonalDataSerializer",
    (serializers.Serializer,),
    {
        "version": serializers.IntegerField(),
        "exported_at": serializers.DateTimeField(),
        "account": serializers.DictField(),
        **_sections(),
        "history": serializers.DictField(child=Rows()),
    },
)


class PersonalData(APIView):
    @extend_schema(tags=["accounts"], operation_id="export", responses=PersonalDataSerializer)
    def get(self, request: Request) -> Response:
        """
        Everything that is kept of you: the rows as they are stored, by table.

        Amounts are texts, moments are in UTC. Proofs of who you are, such as the password's
        hash, are left out.
        """
        found = personal_data.collect(user=request.user, now=timezone.now())
        return Response(
            found,
            headers={
                "Cache-Control": "private, no-store",
                "Content-Disposition": 'attachment; filename="personal-data.json"',
            },
        )
