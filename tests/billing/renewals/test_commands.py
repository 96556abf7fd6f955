from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.models import Invoice, Subscription, TestClock
from tests.billing.purchases import subscribe
from tests.billing.renewals.story import periods
from tests.factories import PlanFactory, UserFactory

pytestmark = pytest.mark.django_db


def told(command, **options):
    out = StringIO()
    call_command(command, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


class TestRunBilling:
    def test_does_what_is_due_and_says_how_much(self):
        subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now() - timedelta(days=32))

        said = " ".join(told("run_billing").split())

        assert "│ Renewals invoiced │ 1 │" in said
        assert "│ Invoices paid │ 1 │" in said
        assert Invoice.objects.filter(reason="renewal", status="paid").count() == 1

    def test_as_of_a_moment_before(self):
        begun = timezone.now() - timedelta(days=32)
        subscribe(UserFactory(), plan=PlanFactory(), now=begun)

        told("run_billing", until=(begun + timedelta(days=3)).isoformat())

        assert not Invoice.objects.filter(reason="renewal").exists()

    def test_the_time_to_come_is_played_step_by_step(self):
        begun = timezone.now()
        subscription = subscribe(UserFactory(), plan=PlanFactory(), now=begun)

        told("run_billing", until=(begun + timedelta(days=100)).isoformat())

        invoiced = Invoice.objects.filter(reason="renewal").order_by("invoiced_at")
        assert [invoice.invoiced_at for invoice in invoiced] == [
            invoice.period_start for invoice in invoiced
        ]
        assert len(periods(subscription)) == 3

    def test_but_not_in_production(self, settings):
        settings.BILLING_TEST_CLOCKS = False

        with pytest.raises(CommandError, match="lies in the future"):
            told("run_billing", until="2099-01-01")

    @pytest.mark.parametrize("until", ["tomorrow", "2026-13-01", "2026-02-30T00:00"])
    def test_a_moment_that_is_none(self, until):
        with pytest.raises(CommandError, match="--until"):
            told("run_billing", until=until)


class TestTurnClock:
    BEGUN = datetime(2026, 1, 31, 12, tzinfo=UTC)

    @pytest.fixture
    def ada(self):
        user = UserFactory(email="ada@example.com")
        subscribe(user, plan=PlanFactory(name="Pro"), now=self.BEGUN)
        TestClock.objects.create(user=user, now_at=self.BEGUN)
        return user

    def test_three_years_of_a_customer(self, ada):
        said = told("turn_clock", customer="ada@example.com", to="2029-01-31T12:00Z")

        subscription = Subscription.objects.get(user=ada)
        assert len(periods(subscription)) == 36
        assert periods(subscription)[24] == ("paid", "2028-02-29", "2028-03-31")
        assert "36 invoices, 36 payments, 0 failures" in said
        assert "2028-02-29 12:00" in said
        assert "Pro, active until 2029-02-28" in said
        assert TestClock.objects.get().now_at == datetime(2029, 1, 31, 12, tzinfo=UTC)

    def test_who_fails_twice_each_time(self, ada):
        said = told("turn_clock", customer="ada@example.com", to="2026-05-20", pays="fails-twice")

        subscription = Subscription.objects.get(user=ada)
        assert [status for status, _begin, _end in periods(subscription)] == ["paid"] * 3
        assert "3 invoices, 3 payments, 6 failures" in said

    def test_who_never_pays(self, ada):
        said = told("turn_clock", customer="ada@example.com", to="2026-05-01", pays="never")

        assert "1 invoices, 0 payments, 5 failures" in said
        assert Subscription.objects.get(user=ada).status == "expired"

    def test_does_not_go_back(self, ada):
        with pytest.raises(CommandError, match="cannot go back"):
            told("turn_clock", customer="ada@example.com", to="2026-01-01")

    def test_of_nobody(self):
        with pytest.raises(CommandError, match="no customer"):
            told("turn_clock", customer="nobody@example.com", to="2030-01-01")

    def test_not_in_production(self, ada, settings):
        settings.BILLING_TEST_CLOCKS = False

        with pytest.raises(CommandError, match="development and tests only"):
            told("turn_clock", customer="ada@example.com", to="2030-01-01")
