"""The page behind the button "History": what the database kept, and not only what forms noted."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.admin import changes
from billing.admin.changes import Change

PER_PAGE = 25
PAGE = "p"
LAST_PAGE = 400  # every page reads all before it; who needs more asks the database


class HistoryPage:
    """Who changed what, from what to what, when and why."""

    def changes_of(self, row: Any, most: int) -> list[list[Change]]:
        """The latest changes, source by source; each source is one statement."""
        kept = [changes.of_row(row, most)] if hasattr(row, "history") else []
        return [*kept, changes.in_words(row, most)]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        admin: Any = self
        row = admin.get_object(request, unquote(object_id))
        if row is None:
            return admin._get_obj_does_not_exist_redirect(request, admin.opts, object_id)
        if not admin.has_view_or_change_permission(request, row):
            raise PermissionDenied
        page = page_of(request)
        start = (page - 1) * PER_PAGE
        # The latest of all are among the latest of each: nothing older needs to be read.
        every = changes.merged(self.changes_of(row, start + PER_PAGE + 1))
        context = {
            **admin.admin_site.each_context(request),
            "title": f"History of {row}",
            "subtitle": None,
            "changes": every[start : start + PER_PAGE],
            "newer": page - 1,
            "older": page + 1 if len(every) > start + PER_PAGE and page < LAST_PAGE else 0,
            "page_parameter": PAGE,
            "object": row,
            "original": row,
            "opts": admin.opts,
            **(extra_context or {}),
        }
        request.current_app = admin.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, "admin/billing/history.html", context)


def page_of(request: HttpRequest, parameter: str = PAGE) -> int:
    """The page that was asked for; what is no number is the first."""
    asked = request.GET.get(parameter, "")
    return min(int(asked), LAST_PAGE) if re.fullmatch(r"[1-9][0-9]{0,8}", asked) else 1
