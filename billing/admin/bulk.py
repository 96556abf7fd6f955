"""
One thing done to many rows: a page that asks first, then shows how far it is and what failed.

The page's script sends the ids in parts, each a request of its own with its own check of the
permission; without it the form is sent at once. Each row is its own transaction: one that is
refused says why, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.admin.links import address
from billing.admin.steps import ReasonForm, Step
from config.errors import DomainError

MOST = 10_000  # rows of one run
PART = 50  # rows of one request: seconds at the most


class IdsField(forms.CharField):
    """Ids, parted by commas: one field, because a form of ten thousand is refused."""

    widget = forms.HiddenInput
    default_error_messages = {"invalid": "These are no ids.", "many": "Too many at once."}

    def clean(self, value: Any) -> list[UUID]:
        text = super().clean(value)
        try:
            ids = [UUID(part.strip()) for part in text.split(",")]
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], "invalid") from None
        if len(ids) > MOST:
            raise ValidationError(self.error_messages["many"], "many")
        return list(dict.fromkeys(ids))


class BulkForm(ReasonForm):
    """What is asked once for all rows; more of it is mixed in from the form of the step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, row=None, **kwargs)
        self.fields["ids"] = IdsField(error_messages={"required": "Nothing was chosen."})

    def values_for(self, row: Any) -> dict[str, Any]:
        """
        What the step is run with.

        :raises ValidationError: if something is missing for this row
        """
        return {name: value for name, value in self.cleaned_data.items() if name != "ids"}


@dataclass(frozen=True, slots=True)
class Bulk:
    """
    A step, for many rows.

    :param label: of the action in the list
    :param question: what will happen
    :param form: asks what the step's own form asks
    :param most: of one run
    :param each: what is typed in for each row, as the heading of its column
    """

    step: Step
    label: str
    question: str
    form: type[BulkForm]
    most: int = MOST
    each: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    label: str
    address: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    done: int
    failed: list[Failure]


def run(*, step: Step, rows: Iterable[tuple[UUID, Any]], form: BulkForm, by: Any) -> Outcome:
    """Do it to each row, one after another; nothing that one of them meets stops the others."""
    done, failed = 0, []
    for pk, row in rows:
        if row is None:
            failed.append(Failure(str(pk), "", "There is no such row."))
            continue
        try:
            step.run(row, by=by, now=timezone.now(), **form.values_for(row))
        except DomainError as refusal:
            failed.append(Failure(str(row), address(row), refusal.message))
        except ValidationError as fault:
            failed.append(Failure(str(row), address(row), " ".join(fault.messages)))
        else:
            done += 1
    return Outcome(done, failed)


class Bulks:
    """An admin whose list has such actions. ``bulks``: all that there are."""

    bulks: tuple[Bulk, ...] = ()

    def may_run(self, request: HttpRequest, bulk: Bulk) -> bool:
        admin: Any = self
        return admin.has_view_permission(request) and request.user.has_perm(bulk.step.permission)

    def summary(self, rows: QuerySet) -> list[dict[str, Any]]:
        """What was chosen, in a few lines: one statement. For the page that asks."""
        return []

    # --- The list ---

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        own = {
            self._action(bulk): (partial(_ask, bulk=bulk), self._action(bulk), bulk.label)
            for bulk in self.bulks
            if self.may_run(request, bulk)
        }
        others: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        return own | others

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = request.POST.get("action")
        for bulk in self.bulks:
            if asked == self._action(bulk) and not self.may_run(request, bulk):
                raise PermissionDenied
        return super().changelist_view(request, *args, **kwargs)  # type: ignore[misc]

    # --- The page ---

    def get_urls(self) -> list[URLPattern]:
        admin: Any = self
        own = [
            path(
                f"bulk/{bulk.step.name}/",
                admin.admin_site.admin_view(partial(self.bulk_view, bulk=bulk)),
                name=self._name(bulk),
            )
            for bulk in self.bulks
        ]
        return own + super().get_urls()  # type: ignore[misc]

    def bulk_view(self, request: HttpRequest, bulk: Bulk) -> HttpResponse:
        admin: Any = self
        if not self.may_run(request, bulk):
            raise PermissionDenied
        if request.method != "POST":
            messages.info(request, f"{bulk.label}: choose them in the list first.")
            return redirect(self._list())
        is_script = request.headers.get("accept") == "application/json"
        form = bulk.form(request.POST, by=request.user)
        if not form.is_valid():
            if is_script:
                return JsonResponse({"errors": form.errors}, status=400)
            if form.errors.get("ids"):
                messages.error(request, " ".join(map(str, form.errors["ids"])))
                return redirect(self._list())
            return self.ask(request, bulk, form)
        ids = form.cleaned_data["ids"]
        found = admin.get_queryset(request).select_related("user").in_bulk(ids)
        rows = [(pk, found.get(pk)) for pk in ids]
        outcome = run(step=bulk.step, rows=rows, form=form, by=request.user)
        if is_script:
            return JsonResponse(asdict(outcome))
        return self._tell(request, bulk, outcome)

    def ask(self, request: HttpRequest, bulk: Bulk, form: BulkForm) -> HttpResponse:
        admin: Any = self
        ids = form.fields["ids"].clean(form["ids"].value())
        rows = admin.get_queryset(request).filter(pk__in=ids)
        context = self._context(request, bulk) | {
            "form": form,
            "address": reverse(f"admin:{self._name(bulk)}"),
            "count": len(ids),
            "part": PART,
            "summary": self.summary(rows),
            "rows": self._each(rows, bulk, form) if bulk.each else (),
        }
        return TemplateResponse(request, "admin/billing/bulk.html", context)

    def _each(self, rows: QuerySet, bulk: Bulk, form: BulkForm) -> list[dict[str, Any]]:
        """One line for each, with its own field: what was typed there stays there."""
        return [
            {
                "row": row,
                "customer": row.user,
                "total": row.total.for_people(),
                "input": UnfoldAdminTextInputWidget().render(
                    f"each-{row.pk}",
                    form.data.get(f"each-{row.pk}", ""),
                    {
                        "aria-label": f"{bulk.each} of {row}",
                        "autocomplete": "off",
                        "maxlength": 255,
                    },
                ),
            }
            for row in rows.select_related("user")
        ]

    def _tell(self, request: HttpRequest, bulk: Bulk, outcome: Outcome) -> HttpResponse:
        context = self._context(request, bulk) | {"outcome": outcome}
        return TemplateResponse(request, "admin/billing/bulk_outcome.html", context)

    def _context(self, request: HttpRequest, bulk: Bulk) -> dict[str, Any]:
        admin: Any = self
        return {
            **admin.admin_site.each_context(request),
            "title": bulk.label,
            "bulk": bulk,
            "list": self._list(),
            "opts": admin.opts,
            "media": admin.media,
        }

    def _list(self) -> str:
        opts = self.opts  # type: ignore[attr-defined]
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")

    def _name(self, bulk: Bulk) -> str:
        opts = self.opts  # type: ignore[attr-defined]
        return f"{opts.app_label}_{opts.model_name}_{self._action(bulk)}"

    @staticmethod
    def _action(bulk: Bulk) -> str:
        return f"bulk_{bulk.step.name.replace('-', '_')}"


def _ask(
    admin: Bulks, request: HttpRequest, chosen: QuerySet, *, bulk: Bulk
) -> HttpResponse | None:
    """What the list calls with the rows that were ticked, or with all that it has found."""
    ids = list(chosen.values_list("pk", flat=True)[: bulk.most + 1])
    if len(ids) > bulk.most:
        messages.error(
            request, f"{bulk.label}: at most {bulk.most:,} at once. Narrow the list by its filters."
        )
        return None
    form = bulk.form(initial={"ids": ",".join(map(str, ids))}, by=request.user)
    return admin.ask(request, bulk, form)
