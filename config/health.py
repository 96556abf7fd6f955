"""Whether the process is up, and whether it can do its work."""

from __future__ import annotations

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.schema import ErrorSerializer
from config.version import VERSION

SERVICE = "vbwd-api"


class LiveSerializer(serializers.Serializer):
    status = serializers.CharField(help_text="ok")
    service = serializers.CharField(help_text=SERVICE)
    version = serializers.CharField()


class ReadySerializer(serializers.Serializer):
    status = serializers.CharField(help_text="ok")
    missing = serializers.ListField(child=serializers.CharField(), help_text="Nothing.")


class NotReadySerializer(ErrorSerializer):
    """An error that says what is missing."""

    status = serializers.CharField(help_text="unavailable")
    missing = serializers.ListField(
        child=serializers.CharField(), help_text="database or migrations"
    )

    class Meta:
        ref_name = "NotReady"


class Live(APIView):
    """The process is up; asks nothing of the database."""

    authentication_classes = []
    permission_classes = []

    @extend_schema(tags=["health"], responses=LiveSerializer)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok", "service": SERVICE, "version": VERSION})


class Ready(APIView):
    """The database answers and has every migration; else 503 with what is missing."""

    authentication_classes = []
    permission_classes = []

    @extend_schema(tags=["health"], responses={200: ReadySerializer, 503: NotReadySerializer})
    def get(self, request: Request) -> Response:
        missing = _missing()
        if missing:
            return Response(
                {
                    "status": "unavailable",
                    "missing": missing,
                    "error": f"Not ready: {', '.join(missing)}.",
                    "code": "not_ready",
                },
                status=503,
            )
        return Response({"status": "ok", "missing": []})


def _missing() -> list[str]:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return ["database"]
    return ["migrations"] if pending else []
