"""What the lists of invoices and of payments do alike."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ShowFacets
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from unfold.views import ChangeList


class ForgivingPages(ChangeList):
    """
    A page that is past the end is the first.

    The form of the filters sends the number of the page along, and what it finds has fewer pages.
    """

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            self.page_num = 1
            super().get_results(request)


class MoneyList:
    """Filters that are set together, in one form."""

    list_filter_submit = True
    show_facets = ShowFacets.NEVER  # each would count the whole table
    change_list_template = "admin/billing/money_list.html"

    class Media:
        css = {"all": ("billing/finance.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ForgivingPages
