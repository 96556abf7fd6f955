"""Staff put a plan on sale, raise its price, and take it off again; a visitor watches."""

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import Plan
from tests.catalog.desk import filled_in, said_yes, signed_in


@pytest.mark.django_db
def test_a_plan_comes_changes_its_price_and_goes():
    visitor, staff = Client(), signed_in(is_superuser=True)
    shop, admin = "/api/v1/tarif-plans", reverse("admin:catalog_plan_changelist")

    # A plan with two prices goes on sale.
    add = reverse("admin:catalog_plan_add")
    form = filled_in(
        staff.get(add), prices=[("USD", "29.00"), ("EUR", "27.00")], name="Pro", slug="pro"
    )
    assert staff.post(add, form).status_code == 302
    plan = Plan.objects.get()

    assert visitor.get(f"{shop}?currency=EUR").json()["plans"][0]["price"] == "27.00"
    assert visitor.get(f"{shop}/pro").json()["price"] == "29.00"

    # The price in dollars rises: nothing is sold for it before somebody has read what it means.
    change = reverse("admin:catalog_plan_change", args=[plan.pk])
    form = filled_in(staff.get(change), prices=[("EUR", "27.00"), ("USD", "31.00")])
    question = staff.post(change, form)
    assert visitor.get(f"{shop}/pro").json()["price"] == "29.00"

    # It is meant, and counts at once; the old one is kept.
    assert staff.post(change, said_yes(question)).status_code == 302

    assert visitor.get(f"{shop}/pro").json()["prices"] == [
        {"currency": "EUR", "amount": "27.00"},
        {"currency": "USD", "amount": "31.00"},
    ]
    assert "$29.00" in staff.get(change).content.decode()

    # It is archived: nobody sees it any more, and nobody can put it on sale by mistake.
    for action in ("archive", "activate"):
        staff.post(admin, {"action": action, "_selected_action": [str(plan.pk)]})

    assert visitor.get(shop).json()["plans"] == []
    assert visitor.get(f"{shop}/pro").status_code == 404

    # Until it is restored, on purpose.
    for action in ("restore", "activate"):
        staff.post(admin, {"action": action, "_selected_action": [str(plan.pk)]})

    assert visitor.get(f"{shop}/pro").json()["price"] == "31.00"
