"""Staff at the catalogue's desk: where they go, what their browser sends, what they see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.forms import BaseForm
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import Item
from tests.factories import StaffFactory


def signed_in(*permissions: str, **fields: Any) -> Client:
    """A browser of a member of staff who has these permissions of the catalogue's."""
    client = Client()
    client.force_login(
        StaffFactory(permissions=[f"catalog.{name}" for name in permissions], **fields)
    )
    return client


def page_of(item: Item) -> str:
    return reverse(f"admin:catalog_{item._meta.model_name}_change", args=[item.pk])


def list_of(model: type[Item]) -> str:
    return reverse(f"admin:catalog_{model._meta.model_name}_changelist")


def prices_of(item: Any) -> list[str]:
    """What it costs now."""
    return [f"{price.money} {price.currency}" for price in item.prices.current(timezone.now())]


def save(client: Client, item: Item, form: dict[str, Any]) -> HttpResponse:
    """Send the form of an item's page, and say yes where it is asked what that means."""
    answer = client.post(page_of(item), form)
    if answer.status_code == 200 and "meanings" in answer.context:
        answer = client.post(page_of(item), said_yes(answer))
    return answer


def said_yes(question: HttpResponse) -> dict[str, Any]:
    """What the question's own form sends: all that was typed, and that it is meant."""
    typed: dict[str, Any] = {}
    for name, value in question.context["typed"]:
        typed.setdefault(name, []).append(value)
    return typed | {question.context["confirmed"]: "1"}


def errors(page: HttpResponse) -> str:
    """Every message on a form that came back."""
    assert page.status_code == 200, page
    formset = page.context["inline_admin_formsets"][0].formset
    found = [page.context["adminform"].form.errors, formset.non_form_errors(), *formset.errors]
    return " ".join(str(error) for error in found if error)


def filled_in(
    page: HttpResponse, *, prices: Sequence[tuple[str, str]] | None = None, **typed: Any
) -> dict[str, Any]:
    """
    Everything that stands in the form of an admin page, with what is typed over it.

    :param prices: currency and amount of each row of the prices, in their order; more than there
        are rows adds some. Any field of a row can also be typed by its name: ``prices-0-amount``,
        with ``__`` for the dashes.
    """
    sent = _values(page.context["adminform"].form)
    (inline,) = page.context["inline_admin_formsets"]
    sent |= _values(inline.formset.management_form)
    for form in inline.formset.forms:
        sent |= _values(form)
    for row, (currency, amount) in enumerate(prices or ()):
        sent |= {f"prices-{row}-currency": currency, f"prices-{row}-amount": amount}
    sent["prices-TOTAL_FORMS"] = max(int(sent["prices-TOTAL_FORMS"]), len(prices or ()))
    return sent | {name.replace("__", "-"): value for name, value in typed.items()}


def _values(form: BaseForm) -> dict[str, Any]:
    values = {}
    for bound in form:
        value = None if bound.field.disabled else bound.value()
        if value is False or value is None:
            continue  # a box that is not ticked is not sent, nor what is disabled
        if isinstance(value, list):
            value = [str(getattr(part, "pk", part)) for part in value]
        values[bound.html_name] = value
    return values
