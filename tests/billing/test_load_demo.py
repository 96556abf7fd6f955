"""The demo data."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Min
from django.test import Client

from accounts.models import User
from billing.demo import story
from billing.models import (
    CouponRedemption,
    Event,
    Invoice,
    Mail,
    Payment,
    Subscription,
    TestClock,
    TokenTransaction,
)
from billing.services import events
from catalog.models import AddOn, Plan, TokenBundle
from catalog.money import Money
from tests.billing.purchases import rows_of_billing
from tests.factories import PlanFactory

STARTED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def load() -> str:
    output = StringIO()
    call_command("load_demo", stdout=output)
    return output.getvalue()


def verify_books() -> None:
    call_command("verify_books", stdout=StringIO())


def everything() -> dict[str, int]:
    catalogue = {kind.__name__: kind.objects.count() for kind in (Plan, TokenBundle, AddOn)}
    return catalogue | {"User": User.objects.count()} | rows_of_billing()


@pytest.mark.django_db
@pytest.mark.usefixtures("roles")
class TestLoadDemo:
    def test_fills_the_books_and_a_second_run_changes_nothing(self):
        first = load()
        before = everything()
        second = load()

        assert "Loaded 61 customers and 302 invoices." in first
        assert "finance@demo.example" in first
        assert "The demo data is here already. Nothing was changed." in second
        assert "finance@demo.example" in second
        assert everything() == before
        verify_books()
        assert_it_is_a_varied_past()
        assert_everybody_can_sign_in()

    def test_is_refused_without_the_sandbox(self, settings):
        settings.BILLING_PAYMENT_PROVIDER = ""

        with pytest.raises(CommandError, match="The demo is for development"):
            load()

        assert everything() == dict.fromkeys(everything(), 0)

    def test_is_refused_where_its_names_are_taken(self):
        PlanFactory(name="Professional", slug="pro")
        before = everything()

        with pytest.raises(CommandError, match="items that are here already: Professional"):
            load()

        assert everything() == before

    def test_says_so_where_a_role_is_missing(self, roles):
        roles["Finance"].delete()

        with pytest.raises(CommandError, match="The group Finance is missing"):
            load()

        assert everything() == dict.fromkeys(everything(), 0)


def assert_it_is_a_varied_past() -> None:
    now = User.objects.get(email="admin@demo.example").created_at
    numbers = list(Invoice.objects.order_by("id").values_list("number", "invoiced_at"))
    assert all(moment < now for _number, moment in numbers)
    assert [number[:12] for number, _ in numbers] == [f"INV-{day:%Y%m%d}" for _, day in numbers]
    assert (now - numbers[0][1]).days > 150
    assert not User.objects.filter(invoices__invoiced_at__lt=F("created_at")).exists()
    assert set(Invoice.objects.values_list("status", "currency")) >= {
        ("paid", "USD"),
        ("paid", "EUR"),
        ("paid", "JPY"),
        ("pending", "USD"),
        ("cancelled", "USD"),
    }
    assert set(Payment.objects.exclude(unmatched_reason="").values_list("unmatched_reason")) == {
        ("wrong_amount",),
        ("invoice_cancelled",),
        ("invoice_already_paid",),
        ("invoice_not_found",),
    }
    assert set(Subscription.objects.values_list("cancel_reason", flat=True)) == {
        "",
        "customer",
        "not_paid_in_time",
        "unpaid",
    }
    assert set(Invoice.objects.values_list("reason", flat=True)) == {
        "change",
        "checkout",
        "renewal",
    }
    assert set(CouponRedemption.objects.values_list("status", flat=True)) >= {"active", "used_up"}
    assert not Mail.objects.exclude(status="sent").exists()
    assert Subscription.objects.live().filter(expires_at__gt=now).count() == 39
    assert Subscription.objects.get(past_due_since__isnull=False).user.email.startswith("max.")
    assert not TestClock.objects.exists()
    assert TokenTransaction.objects.filter(transaction_type="usage").count() == 174
    pro = Plan.objects.get(slug="pro")
    sold = Subscription.objects.filter(plan=pro, currency="USD")
    assert set(sold.values_list("amount", flat=True)) == {25, 29}
    assert [price.money for price in pro.prices.filter(currency="USD")] == [
        Money.parse("25.00", "USD"),
        Money.parse("29.00", "USD"),
    ]
    assert Plan.objects.aggregate(oldest=Min("created_at"))["oldest"] < numbers[0][1]


def assert_everybody_can_sign_in() -> None:
    for name in ("admin", "catalogue", "finance", "support"):
        client = Client()
        told = {"username": f"{name}@demo.example", "password": "look around"}
        assert client.post("/admin/login/?next=/admin/", told).status_code == 302
        assert client.get("/admin/").status_code == 200
    for name in ("anna.schmidt", "carol.jones"):
        told = {"email": f"{name}@demo.example", "password": "look around"}
        assert Client().post("/api/v1/auth/login", told, "application/json").status_code == 200


@pytest.mark.django_db(transaction=True)
class TestInterruptedLoad:
    def test_goes_on_where_it_was(self, roles):
        def interrupt(**_kwargs) -> None:
            if Invoice.objects.count() == 20:
                raise KeyboardInterrupt

        events.happened.connect(interrupt)
        with pytest.raises(KeyboardInterrupt):
            load()
        events.happened.disconnect(interrupt)
        left = Invoice.objects.count()

        output = load()

        assert left == 20
        assert "Loaded 61 customers and 302 invoices." in output
        assert Invoice.objects.count() == 302
        assert Payment.objects.count() == 285
        assert TokenTransaction.objects.count() == 243
        assert Event.objects.filter(name="demo.loaded").count() == 1
        verify_books()


class TestSteps:
    def test_are_the_same_each_time(self):
        assert story.steps(started_at=STARTED_AT) == story.steps(started_at=STARTED_AT)

    def test_are_in_order_and_over(self):
        moments = [step.moment for step in story.steps(started_at=STARTED_AT)]

        assert moments == sorted(moments)
        assert moments[-1] < STARTED_AT
        assert len(moments) == 770
