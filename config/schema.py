"""The OpenAPI schema: what every operation has in common."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer):
    """Every error, whatever its status."""

    error = serializers.CharField(help_text="One sentence for a person.")
    code = serializers.CharField(help_text="Stable, for programs.")
    fields_ = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages by field, for validation errors.",
    )
    context = serializers.DictField(required=False, help_text="Values worth showing.")

    class Meta:
        ref_name = "Error"

    def get_fields(self) -> dict[str, Any]:
        # "fields" is the wire's name, but an attribute of serializers.
        return {
            ("fields" if name == "fields_" else name): field
            for name, field in super().get_fields().items()
        }


RETRY_AFTER = {
    "description": "In how many seconds it is worth asking again, where the database is away.",
    "schema": {"type": "integer"},
}


class AutoSchema(SpectacularAutoSchema):
    """Adds the errors that an operation can answer with to those that it names itself."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        if direction == "response":
            for code in self._error_codes():
                bodies.setdefault(code, self._get_response_for_code(ErrorSerializer, code))
            if "503" in bodies:
                bodies["503"].setdefault("headers", {})["Retry-After"] = RETRY_AFTER
        return bodies

    def _get_parameters(self) -> list[dict[str, Any]]:
        """An optional parameter of a query that is empty is as good as none: forms send it so."""
        parameters = super()._get_parameters()
        for parameter in parameters:
            if parameter["in"] == "query" and not parameter.get("required"):
                parameter["allowEmptyValue"] = True
        return parameters

    def _error_codes(self) -> list[str]:
        codes = ["500"] if self.path.endswith("/health") else ["500", "503"]
        if self.method in ("POST", "PUT", "PATCH") or "{" in self.path or self._get_parameters():
            codes.append("400")
        if self.method in ("POST", "PUT", "PATCH"):
            codes += ["413", "415"]
        if self.view.get_authenticators():
            codes.append("401")
        if "/admin/" in self.path:
            codes.append("403")
        if "{" in self.path:
            codes.append("404")
        return codes

    def _is_list_view(self, _serializer: Any = None) -> bool:
        """Every list of the API is an object with the list under a key of its own."""
        return False

    def get_filter_backends(self) -> list[Any]:
        if getattr(self.view, "action", None) != "list":
            return []
        return getattr(self.view, "filter_backends", [])
