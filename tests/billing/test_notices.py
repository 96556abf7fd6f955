from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from billing.models import Coupon, CouponRedemption, Mail, Subscription, TestClock
from billing.services import notices, payments, staff_subscriptions, subscriptions
from billing.services.subscriptions import Author, SubscriptionStateForbids
from catalog.models import Price
from tests.billing.purchases import check_out, pay, subscribe, unmatched
from tests.factories import AddOnFactory, PlanFactory, StaffFactory, UserFactory
from tests.threads import at_once

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER = "INV-20260301-01-000001"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db):
    return UserFactory(email="ada@example.com", language="de")


def mails(kind):
    return list(Mail.objects.filter(kind=kind).order_by("id"))


class TestReceipt:
    def test_of_a_paid_invoice(self, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice
        assert mails("receipt") == []

        pay(invoice, now=NOON)

        [mail] = mails("receipt")
        assert (mail.user, mail.to, mail.language) == (ada, "ada@example.com", "de")
        assert (mail.reference, mail.status) == (str(invoice.pk), "waiting")
        assert mail.context == {
            "invoice_id": str(invoice.pk),
            "number": NUMBER,
            "total": {"amount": "29.00", "currency": "USD"},
            "paid_at": "2026-03-01T12:00:00+00:00",
        }

    def test_of_one_that_was_paid_twice_is_one(self, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice

        pay(invoice, now=NOON)
        pay(invoice, now=NOON)

        assert len(mails("receipt")) == 1

    def test_of_one_that_staff_mark_paid(self, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice

        payments.mark_paid(
            invoice=invoice,
            reference="x",
            method="bank_transfer",
            received_at=NOON,
            by=StaffFactory(),
            reason="It is here.",
            now=NOON,
        )

        assert len(mails("receipt")) == 1

    def test_of_one_that_an_unmatched_payment_is_assigned_to(self, ada):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice
        payment = unmatched(invoice, reference="x")
        assert mails("receipt") == []

        payments.assign(
            payment=payment, invoice=invoice, by=StaffFactory(), reason="Theirs.", now=NOON
        )

        assert len(mails("receipt")) == 1

    def test_of_zero_is_none(self, ada):
        assert check_out(ada, plan=PlanFactory(prices={"USD": "0"}), now=NOON).is_paid

        assert mails("receipt") == []

    def test_is_undone_with_the_payment(self, ada, monkeypatch):
        invoice = check_out(ada, plan=PlanFactory(), now=NOON).invoice

        def fail(**_options):
            raise SubscriptionStateForbids("no")

        monkeypatch.setattr(payments, "receipt", fail)
        with pytest.raises(SubscriptionStateForbids):
            payments.assign(
                payment=unmatched(invoice, reference="x"),
                invoice=invoice,
                by=StaffFactory(),
                reason="Theirs.",
                now=NOON,
            )

        assert mails("receipt") == []


class TestCancelled:
    def test_by_the_customer_says_until_when(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(name="Pro"), now=NOON)

        subscriptions.cancel(subscription=subscription, now=NOON + DAY)

        [mail] = mails("cancelled")
        assert (mail.user, mail.language) == (ada, "de")
        assert mail.reference == f"{subscription.pk}:2026-03-02T12:00:00+00:00"
        assert mail.context == {
            "plan": "Pro",
            "ends_at": "2026-04-01T12:00:00+00:00",
            "is_over": False,
            "is_unpaid": False,
        }

    def test_by_staff(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(), now=NOON)

        staff_subscriptions.cancel(
            subscription=subscription, at_once=False, by=StaffFactory(), reason="Asked.", now=NOON
        )

        assert [mail.context["is_over"] for mail in mails("cancelled")] == [False]

    def test_by_staff_at_once_has_ended(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(), now=NOON)

        staff_subscriptions.cancel(
            subscription=subscription, at_once=True, by=StaffFactory(), reason="Asked.", now=NOON
        )

        assert [mail.context["is_over"] for mail in mails("cancelled")] == [True]

    def test_one_that_never_ends_has_ended(self, ada):
        plan = PlanFactory(billing_period="one_time")
        subscription = subscribe(ada, plan=plan, now=NOON)

        subscriptions.cancel(subscription=subscription, now=NOON + DAY)

        assert [mail.context["is_over"] for mail in mails("cancelled")] == [True]

    def test_again_after_it_was_taken_back(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(), now=NOON)
        subscriptions.cancel(subscription=subscription, now=NOON + DAY)
        subscription.refresh_from_db()
        staff_subscriptions.activate(
            subscription=subscription, by=StaffFactory(), reason="They stay.", now=NOON + DAY
        )

        subscriptions.cancel(subscription=subscription, now=NOON + 2 * DAY)

        assert len(mails("cancelled")) == 2

    def test_one_that_was_never_paid_is_not_told(self, ada):
        """Nothing was running; and nobody mails strangers by registering their address."""
        made = check_out(ada, plan=PlanFactory(), now=NOON)

        subscriptions.cancel(subscription=made.subscription, now=NOON)

        assert mails("cancelled") == []

    def test_one_that_another_replaces_is_not_told(self, ada):
        subscribe(ada, plan=PlanFactory(), now=NOON)
        subscribe(ada, plan=PlanFactory(), now=NOON + DAY)

        assert mails("cancelled") == []

    def test_for_want_of_a_payment_says_so(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(), now=NOON)

        notices.cancelled(subscription=subscription, is_unpaid=True, now=NOON + 60 * DAY)

        [mail] = mails("cancelled")
        assert (mail.context["is_over"], mail.context["is_unpaid"]) == (True, True)

    def test_a_refused_one_is_not_told(self, ada):
        subscription = subscribe(ada, plan=PlanFactory(), now=NOON)
        author = Author(StaffFactory().pk, "")
        subscriptions.cancel(subscription=subscription, author=author, now=NOON)

        with pytest.raises(SubscriptionStateForbids):
            subscriptions.cancel(subscription=subscription, now=NOON + DAY)

        assert len(mails("cancelled")) == 1


class TestPaymentFailed:
    def test_says_what_comes_next_once_an_attempt(self, ada):
        made = check_out(ada, plan=PlanFactory(name="Pro"), now=NOON)
        told = {
            "invoice": made.invoice,
            "subscription": made.subscription,
            "next_attempt_at": NOON + 3 * DAY,
            "ends_at": NOON + 16 * DAY,
            "now": NOON,
        }

        notices.payment_failed(attempt=1, **told)
        notices.payment_failed(attempt=1, **told)
        notices.payment_failed(attempt=2, **told | {"next_attempt_at": None})

        first, second = mails("payment_failed")
        assert first.reference == f"{made.invoice.pk}:1"
        assert first.context == {
            "invoice_id": str(made.invoice.pk),
            "number": NUMBER,
            "plan": "Pro",
            "total": {"amount": "29.00", "currency": "USD"},
            "next_attempt_at": "2026-03-04T12:00:00+00:00",
            "ends_at": "2026-03-17T12:00:00+00:00",
        }
        assert second.context["next_attempt_at"] == ""


def trial_of(user, *, ends_at, plan=None, **columns):
    plan = plan or PlanFactory(name="Pro")
    subscription = subscribe(user, plan=plan, now=NOON)
    Subscription.objects.filter(pk=subscription.pk).update(
        status="trialing", expires_at=ends_at, trial_ends_at=ends_at, **columns
    )
    subscription.refresh_from_db()
    return subscription


class TestTrialEnding:
    def test_is_told_three_days_before(self, ada):
        subscription = trial_of(ada, ends_at=NOON + 14 * DAY)

        assert notices.trial_ending(now=NOON + 11 * DAY - timedelta(seconds=1), limit=10) == 0
        assert notices.trial_ending(now=NOON + 11 * DAY, limit=10) == 1

        [mail] = mails("trial_ending")
        assert (mail.user, mail.language) == (ada, "de")
        assert mail.reference == f"{subscription.pk}:2026-03-15"
        assert mail.next_attempt_at == NOON + 11 * DAY
        assert mail.context == {
            "plan": "Pro",
            "ends_at": "2026-03-15T12:00:00+00:00",
            "period": "monthly",
            "total": {"amount": "29.00", "currency": "USD"},
            "is_discounted": False,
        }

    def test_is_told_once(self, ada):
        trial_of(ada, ends_at=NOON + 14 * DAY)
        notices.trial_ending(now=NOON + 11 * DAY, limit=10)

        assert notices.trial_ending(now=NOON + 12 * DAY, limit=10) == 0
        assert len(mails("trial_ending")) == 1

    def test_is_told_again_when_it_was_extended(self, ada):
        subscription = trial_of(ada, ends_at=NOON + 14 * DAY)
        notices.trial_ending(now=NOON + 11 * DAY, limit=10)
        Subscription.objects.filter(pk=subscription.pk).update(expires_at=NOON + 21 * DAY)

        assert notices.trial_ending(now=NOON + 18 * DAY, limit=10) == 1

    @pytest.mark.parametrize("status", ["active", "cancelled", "expired"])
    def test_is_told_to_who_is_on_trial(self, ada, status):
        subscription = trial_of(ada, ends_at=NOON + 14 * DAY)
        Subscription.objects.filter(pk=subscription.pk).update(status=status)

        assert notices.trial_ending(now=NOON + 12 * DAY, limit=10) == 0

    def test_is_not_told_when_it_is_over(self, ada):
        trial_of(ada, ends_at=NOON + 14 * DAY)

        assert notices.trial_ending(now=NOON + 14 * DAY, limit=10) == 0

    def test_that_costs_nothing_after_is_not_told(self, ada):
        check_out(ada, plan=PlanFactory(prices={"USD": "0"}), now=NOON)
        ends_at = NOON + 14 * DAY
        Subscription.objects.update(status="trialing", expires_at=ends_at, trial_ends_at=ends_at)

        assert notices.trial_ending(now=NOON + 12 * DAY, limit=10) == 0

    def test_names_seats_add_ons_fee_and_discount(self, ada):
        plan = PlanFactory(prices={"USD": "29.00"})
        subscription = trial_of(ada, ends_at=NOON + 14 * DAY, plan=plan, quantity=3, setup_fee=10)
        # With the same period it is renewed together; a yearly one is not.
        for period in ("monthly", "yearly"):
            add_on = AddOnFactory(prices={"USD": "5.00"}, billing_period=period)
            made = check_out(ada, add_ons=[add_on], now=NOON)
            assert made.is_paid  # nothing to pay in the trial
        coupon = Coupon.objects.create(code="HALF", kind="percent", percent=50, duration="forever")
        CouponRedemption.objects.create(
            coupon=coupon,
            user=ada,
            subscription=subscription,
            status="active",
            name="HALF",
            percent=50,
            currency="USD",
        )

        notices.trial_ending(now=NOON + 12 * DAY, limit=10)

        [mail] = mails("trial_ending")
        assert mail.context["total"] == {"amount": "92.00", "currency": "USD"}
        assert mail.context["setup_fee"] == {"amount": "10.00", "currency": "USD"}
        assert mail.context["is_discounted"] is True

    def test_names_what_it_will_be_from_then_on(self, ada):
        subscription = trial_of(ada, ends_at=NOON + 14 * DAY)
        plan = PlanFactory(name="Team", prices={"USD": "500.00"}, billing_period="yearly")
        price = Price.objects.get(plan=plan)
        Subscription.objects.filter(pk=subscription.pk).update(
            pending_plan=plan, pending_price=price, pending_quantity=2
        )

        notices.trial_ending(now=NOON + 12 * DAY, limit=10)

        [mail] = mails("trial_ending")
        assert (mail.context["plan"], mail.context["period"]) == ("Team", "yearly")
        assert mail.context["total"] == {"amount": "1000.00", "currency": "USD"}

    def test_tells_at_most_so_many_the_first_to_end_first(self):
        plan = PlanFactory()
        later = [trial_of(UserFactory(), ends_at=NOON + 14 * DAY, plan=plan) for _ in range(2)]
        first = trial_of(UserFactory(), ends_at=NOON + 13 * DAY, plan=plan)

        assert notices.trial_ending(now=NOON + 12 * DAY, limit=2) == 2
        assert {mail.user for mail in mails("trial_ending")} == {first.user, later[0].user}
        assert notices.trial_ending(now=NOON + 12 * DAY, limit=2) == 1
        assert notices.trial_ending(now=NOON + 12 * DAY, limit=2) == 0

    def test_leaves_those_with_a_clock_of_their_own(self, ada):
        trial_of(ada, ends_at=NOON + 14 * DAY)
        trial_of(UserFactory(), ends_at=NOON + 14 * DAY)
        TestClock.objects.create(user=ada, now_at=NOON)

        assert notices.trial_ending(now=NOON + 12 * DAY, limit=10) == 1
        assert notices.trial_ending(now=NOON + 12 * DAY, limit=10, user=ada) == 1

    @pytest.mark.parametrize("count", [1, 20])
    def test_costs_the_same_however_many(self, django_assert_num_queries, count):
        plan = PlanFactory()
        for _ in range(count):
            trial_of(UserFactory(), ends_at=NOON + 14 * DAY, plan=plan)

        with django_assert_num_queries(5):  # a look; two between BEGIN and COMMIT, as savepoints
            assert notices.trial_ending(now=NOON + 12 * DAY, limit=100) == count

    def test_costs_one_look_on_the_other_days(self, django_assert_num_queries):
        trial_of(UserFactory(), ends_at=NOON + 14 * DAY)

        with django_assert_num_queries(1):
            assert notices.trial_ending(now=NOON + 10 * DAY, limit=100) == 0

    @pytest.mark.concurrency
    @pytest.mark.django_db(transaction=True)
    def test_of_four_at_once_puts_one(self, ada):
        trial_of(ada, ends_at=NOON + 14 * DAY)

        at_once(4, lambda n: notices.trial_ending(now=NOON + 12 * DAY, limit=10))

        assert len(mails("trial_ending")) == 1


class TestRenewalsComing:
    @pytest.fixture
    def yearly(self, ada):
        plan = PlanFactory(name="Pro", prices={"USD": "290.00"}, billing_period="yearly")
        return subscribe(ada, plan=plan, now=NOON)

    def test_are_told_two_weeks_before(self, ada, yearly):
        ends = datetime(2027, 3, 1, 12, tzinfo=UTC)

        assert notices.renewals_coming(now=ends - 14 * DAY - timedelta(seconds=1), limit=10) == 0
        assert notices.renewals_coming(now=ends - 14 * DAY, limit=10) == 1
        assert notices.renewals_coming(now=ends - 13 * DAY, limit=10) == 0

        [mail] = mails("renewal_coming")
        assert mail.reference == f"{yearly.pk}:2027-03-01"
        assert mail.context == {
            "plan": "Pro",
            "renews_at": "2027-03-01T12:00:00+00:00",
            "period": "yearly",
            "total": {"amount": "290.00", "currency": "USD"},
            "is_discounted": False,
        }

    def test_are_told_again_the_year_after(self, yearly):
        ends = datetime(2027, 3, 1, 12, tzinfo=UTC)
        notices.renewals_coming(now=ends - DAY, limit=10)
        next_end = datetime(2028, 3, 1, 12, tzinfo=UTC)
        Subscription.objects.filter(pk=yearly.pk).update(expires_at=next_end)

        assert notices.renewals_coming(now=next_end - DAY, limit=10) == 1

    def test_are_told_as_early_as_the_owner_wants(self, settings, yearly):
        settings.BILLING_RENEWAL_NOTICE_DAYS = 30

        assert notices.renewals_coming(now=datetime(2027, 2, 1, tzinfo=UTC), limit=10) == 1

    def test_of_other_periods_are_not_told(self, ada):
        subscribe(ada, plan=PlanFactory(billing_period="monthly"), now=NOON)

        assert notices.renewals_coming(now=NOON + 20 * DAY, limit=10) == 0

    def test_of_what_is_cancelled_are_not_told(self, yearly):
        subscriptions.cancel(subscription=yearly, now=NOON)

        assert notices.renewals_coming(now=datetime(2027, 2, 28, tzinfo=UTC), limit=10) == 0

    def test_of_what_costs_nothing_are_not_told(self, ada):
        check_out(ada, plan=PlanFactory(prices={"USD": "0"}, billing_period="yearly"), now=NOON)

        assert notices.renewals_coming(now=datetime(2027, 2, 28, tzinfo=UTC), limit=10) == 0

    def test_are_found_by_the_index_of_ends(self, yearly):
        """Not by a look at every subscription that there ever was."""
        coming = Subscription.objects.filter(
            status="active", expires_at__gt=NOON, expires_at__lte=NOON + 400 * DAY
        )
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")

        found = notices._to_be_told("renewal_coming", coming, limit=10, user=None)
        plan = found.explain()
        assert "subscription_ends" in plan
        assert "mail_once" in plan


class TestSendMails:
    def test_sends_what_is_due_and_says_so(self, ada, capsys, mailoutbox):
        pay(check_out(ada, plan=PlanFactory(), now=NOON).invoice, now=NOON)

        call_command("send_mails")

        assert capsys.readouterr().out == "1 sent, 0 to be tried again, 0 parked.\n"
        assert len(mailoutbox) == 1

    def test_sends_in_batches(self, ada, capsys, mailoutbox):
        for n in range(120):
            notices.cancelled(
                subscription=Subscription(user=ada, name=f"P{n}", expires_at=NOON), now=NOON
            )

        call_command("send_mails")

        assert capsys.readouterr().out == "120 sent, 0 to be tried again, 0 parked.\n"

    def test_sends_at_most_so_many(self, ada, capsys, mailoutbox):
        for n in range(3):
            notices.cancelled(
                subscription=Subscription(user=ada, name=f"P{n}", expires_at=NOON), now=NOON
            )

        call_command("send_mails", limit=2)

        assert capsys.readouterr().out == "2 sent, 0 to be tried again, 0 parked.\n"

    def test_with_nothing_to_do_says_so(self, db, capsys):
        call_command("send_mails")

        assert capsys.readouterr().out == "0 sent, 0 to be tried again, 0 parked.\n"

    def test_without_a_server_stops_at_the_first(self, ada, capsys, settings):
        settings.EMAIL_BACKEND = "config.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        for n in range(3):
            notices.cancelled(
                subscription=Subscription(user=ada, name=f"P{n}", expires_at=NOON), now=NOON
            )

        call_command("send_mails")

        assert capsys.readouterr().out == "0 sent, 1 to be tried again, 0 parked.\n"
        assert sorted(Mail.objects.values_list("attempts", flat=True)) == [0, 0, 1]
