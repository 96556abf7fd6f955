"""The description of the API: for programs (OpenAPI 3.1) and for people."""

from __future__ import annotations

from functools import cache
from typing import Any

from csp.decorators import csp
from django.urls import reverse
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import content_security


@cache
def _schema() -> dict[str, Any]:
    """Generate it once in each process: it takes a second, and follows from the code alone."""
    return SchemaGenerator().get_schema(request=None, public=True)


class Schema(APIView):
    authentication_classes = []
    permission_classes = []
    renderer_classes = [OpenApiJsonRenderer2]

    @extend_schema(exclude=True)
    def get(self, _request: Request) -> Response:
        return Response(_schema())


@method_decorator(csp(content_security.DOCUMENTATION), name="dispatch")
class Documentation(SpectacularSwaggerView):
    """A page that tries out every call; its scripts and styles are served from here."""

    template_name = "documentation.html"  # the library's has its script in the page

    authentication_classes = []
    permission_classes = []
    metadata_class = None  # OPTIONS would be answered with the page's template

    def _get_schema_url(self, _request: Request) -> str:
        # Not the library's, which copies values out of the query.
        return reverse("schema")
