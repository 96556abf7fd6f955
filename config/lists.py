"""Lists of the admin, whatever stands in their address."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest


class ForgivingList:
    """A filter by what no column can hold, as a NUL, is as any that does not exist."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc]
        except ValueError as failure:
            # The driver says so only when the rows are asked for: too late for Django's filters.
            raise IncorrectLookupParameters from failure
