from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client

from accounts.models import BillingDetails, Session, User
from accounts.services import customers, details, registration, sessions
from accounts.services.erasure import AccountErased
from billing.models import Event, IdempotencyRecord, Invoice, Mail, Payment
from billing.models.subscription import SubscriptionStatus
from billing.services import (
    endings,
    erasure,
    idempotency,
    invoices,
    outbox,
    token_adjustments,
)
from tests.access.pages import every_page
from tests.billing.admin_pages import browser_of, keep_unmatched, page_of, text_of
from tests.billing.purchases import check_out, pay
from tests.billing.remnants import columns_with
from tests.factories import StaffFactory, UserFactory
from tests.threads import overtaken

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=60)
# What the law wants kept (docs/personal-data.md has the same list).
KEPT = {
    "billing_invoice.buyer",
    "billing_invoicehistory.buyer",
}
NOBODY = "00000000-0000-7000-8000-000000000000"
PERSON = ("quillonius", "zephyrine", "wunderlich", "octarine", "gloaming lane", "88776655")


@pytest.fixture
def root(db) -> User:
    return StaffFactory(email="root@example.com", is_superuser=True)


@pytest.fixture
def customer(db) -> User:
    """Somebody with an unusual name, so that it stands nowhere by chance."""
    user = UserFactory(email="zephyrine@wunderlich.example")
    details.update(
        user=user,
        first_name="Zephyrine",
        last_name="Quillonius",
        company="Octarine Ltd",
        phone="+49 88776655",
        address_line_1="7 Gloaming Lane",
        country="DE",
    )
    return User.objects.get(pk=user.pk)


def erase(user: User, by: User, reason: str = "They asked for it.") -> User:
    return erasure.erase(user=user, by=by, reason=reason, now=LATER)


def buy_and_end(user: User, catalogue) -> Invoice:
    """A paid checkout whose subscription is over."""
    made = check_out(user, **catalogue, now=NOW)
    pay(made.invoice, now=NOW)
    made.subscription.refresh_from_db()
    endings.cancel(subscription=made.subscription, at_once=True, now=NOW)
    return made.invoice


@pytest.fixture
def lived(customer, catalogue, root) -> User:
    """The customer, having left traces in every table that takes any."""
    browser = browser_of(root)
    invoice = buy_and_end(customer, catalogue)
    customers.edit(
        user=customer,
        email="z.quillonius@wunderlich.example",
        given={"company": "Octarine & Quillonius"},
        by=root,
        now=NOW,
    )
    customer.refresh_from_db()
    sessions.open(user=customer, now=NOW)
    customers.suspend(user=customer, by=root, reason="Quillonius rang from +49 88776655", now=NOW)
    customers.activate(user=customer, by=root, reason="Zephyrine is back", now=NOW)
    token_adjustments.adjust(
        user_id=customer.pk, amount=5, reference="r", reason="For Zephyrine", by=root, now=NOW
    )
    key = idempotency.Key.of(user_id=customer.pk, text="key", content="{}")
    told = idempotency.Answer(201, b'{"to":"Quillonius"}')
    idempotency.record(key=key, answer=told, now=NOW).save(force_insert=True)
    AccessAttempt.objects.create(username=customer.email, failures_since_start=1)
    AccessAttempt.objects.create(username="somebody@else.example", failures_since_start=1)
    browser.post(f"/admin/accounts/user/{customer.pk}/send-password-link/", {})
    outbox.send_due(now=LATER, limit=100)
    check = check_out(customer, bundles=catalogue["bundles"], now=NOW).invoice
    invoices.void(invoice=check, by=root, reason="Zephyrine did not want it", now=NOW)
    assert invoice.buyer["email"] == "zephyrine@wunderlich.example"
    return customer


class TestErase:
    def test_leaves_the_person_only_where_the_law_keeps_them(self, lived, root):
        with_person = columns_with(*PERSON)
        assert {
            "accounts_billingdetails.last_name",
            "accounts_billingdetailshistory.company",
            "accounts_user.email",
            "accounts_userhistory.email",
            "axes_accessattempt.username",
            "billing_event.payload",
            "billing_idempotencyrecord.body",
            "billing_mail.to",
            "django_admin_log.object_repr",
            "pghistory_context.metadata",
        } <= with_person

        erase(lived, root, reason="Zephyrine Quillonius asked for it.")

        assert columns_with(*PERSON) == KEPT

    def test_keeps_the_books(self, lived, root, capsys):
        erase(lived, root)

        call_command("verify_books")
        assert Invoice.objects.filter(user=lived).count() == 2
        assert Payment.objects.filter(user=lived).count() == 1
        assert Invoice.objects.filter(user=lived).last().buyer["last_name"] == "Quillonius"

    def test_empties_the_account(self, lived, root):
        erased = erase(lived, root)

        user = User.objects.get(pk=lived.pk)
        assert erased == user
        assert user.email == f"erased-{lived.pk.hex}@erased.invalid"
        assert user.status == "deleted"
        assert user.erased_at == LATER
        assert not user.has_usable_password()
        assert not BillingDetails.objects.filter(user=user).exists()
        assert not Session.objects.filter(user=user).exists()
        assert not Mail.objects.filter(user=user).exists()
        assert not IdempotencyRecord.objects.filter(user=user).exists()

    def test_says_who_and_why(self, lived, root):
        erase(lived, root, reason="Asked by Zephyrine on 1 May.")

        event = Event.objects.get(name="customer.erased")
        assert event.user == lived
        assert event.payload == {"by": str(root.pk), "reason": "Asked by [erased] on 1 May."}
        user, reason = User.history.rel.related_model.objects.order_by("-pgh_id").values_list(
            "pgh_context__metadata__user", "pgh_context__metadata__reason"
        )[0]
        assert user == str(root.pk)
        assert reason == "Asked by [erased] on 1 May."

    def test_shuts_the_account(self, lived, root, api):
        before = sessions.open(user=lived, now=LATER)

        erase(lived, root)

        for email in (lived.email, f"erased-{lived.pk.hex}@erased.invalid"):
            given = {"email": email, "password": "a long password"}
            assert api.post("/api/v1/auth/login", given).status_code == 401
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {before.access}")
        assert api.get("/api/v1/user/profile").status_code == 401
        with pytest.raises(sessions.InvalidRefreshToken):
            sessions.rotate(refresh_token=before.refresh, now=LATER)

    def test_frees_the_email(self, lived, root):
        email = lived.email
        erase(lived, root)

        registration.register(email=email, password="another long one", now=LATER)

        assert User.objects.get(email=email).pk != lived.pk

    def test_leaves_everybody_else_alone(self, lived, root, catalogue):
        other = UserFactory(email="other@example.com")
        details.update(user=other, first_name="Annual", company="Lane")
        buy_and_end(other, catalogue)
        before = Mail.objects.filter(user=other).count()

        erase(lived, root)

        other.refresh_from_db()
        assert other.email == "other@example.com"
        assert BillingDetails.objects.get(user=other).first_name == "Annual"
        assert Mail.objects.filter(user=other).count() == before > 0
        assert AccessAttempt.objects.get().username == "somebody@else.example"

    def test_keeps_events_and_mails_protected_from_others(self, lived, root):
        erase(lived, root)

        with pytest.raises(DatabaseError, match="Cannot update"):
            Event.objects.filter(user=lived).update(payload={})


class TestRefusals:
    def refused(self, user: User, by: User, code: str) -> None:
        events = Event.objects.count()
        with pytest.raises(erasure.DomainError) as refusal:
            erase(user, by)
        assert refusal.value.code == code
        after = User.objects.get(pk=user.pk)
        assert (after.email, after.erased_at) == (user.email, user.erased_at)
        assert Event.objects.count() == events

    def test_of_a_live_subscription(self, customer, root, catalogue):
        pay(check_out(customer, **catalogue, now=NOW).invoice, now=NOW)

        self.refused(customer, root, "customer_not_settled")

        assert BillingDetails.objects.filter(user=customer).exists()

    @pytest.mark.parametrize("status", ["pending", "failed"])
    def test_of_an_unpaid_invoice(self, customer, root, catalogue, status):
        check_out(customer, bundles=catalogue["bundles"], now=NOW)
        Invoice.objects.update(status=status)

        self.refused(customer, root, "customer_not_settled")

    def test_of_an_unmatched_payment(self, customer, root):
        payment = keep_unmatched(reference="r", invoice_reference="none", amount="5.00")
        Payment.objects.filter(pk=payment.pk).update(user=customer)

        self.refused(customer, root, "customer_not_settled")

    def test_while_a_mail_is_sent(self, customer, root, catalogue):
        buy_and_end(customer, catalogue)
        Mail.objects.filter(kind="receipt").update(status="sending")

        self.refused(customer, root, "customer_not_settled")

    def test_of_staff(self, root):
        self.refused(StaffFactory(), root, "staff_not_erased")

    def test_of_oneself(self, root):
        self.refused(root, root, "account_out_of_reach")

    def test_of_staff_by_others(self, db):
        by = StaffFactory(permissions=["accounts.erase_user"])

        self.refused(StaffFactory(), by, "account_out_of_reach")

    def test_a_second_time(self, customer, root):
        erased = erase(customer, root)

        self.refused(erased, root, "customer_already_erased")


@pytest.mark.django_db(transaction=True)
class TestLock:
    def test_of_two_at_once_the_second_finds_nothing_left(self, customer, root):
        def refusal():
            with pytest.raises(erasure.AlreadyErased) as caught:
                erase(customer, root)
            return caught.value.code

        code = overtaken(refusal, by=lambda: erase(customer, root))

        assert code == "customer_already_erased"
        assert Event.objects.filter(name="customer.erased").count() == 1

    def test_a_checkout_that_was_overtaken_is_refused(self, customer, root, catalogue):
        def code():
            with pytest.raises(AccountErased) as caught:
                check_out(customer, bundles=catalogue["bundles"], now=NOW)
            return caught.value.code

        assert overtaken(code, by=lambda: erase(customer, root)) == "account_erased"
        assert not Invoice.objects.exists()

    def test_sees_a_checkout_that_was_first(self, customer, root, catalogue):
        def code():
            with pytest.raises(erasure.CustomerNotSettled) as caught:
                erase(customer, root)
            return caught.value.code

        def buys():
            check_out(customer, bundles=catalogue["bundles"], now=NOW)

        assert overtaken(code, by=buys) == "customer_not_settled"
        assert User.objects.get(pk=customer.pk).erased_at is None

    def test_details_that_were_overtaken_are_not_written(self, customer, root):
        def code():
            with pytest.raises(AccountErased) as caught:
                details.update_own(user=customer, first_name="Zephyrine")
            return caught.value.code

        assert overtaken(code, by=lambda: erase(customer, root)) == "account_erased"
        assert not BillingDetails.objects.exists()


class TestPage:
    def test_asks_and_erases(self, customer, root):
        browser = browser_of(root)
        address = f"/admin/accounts/user/{customer.pk}/erase/"
        assert "are forgotten for good" in text_of(browser.get(address))

        answer = browser.post(address, {"reason": "They asked."}, follow=True)

        assert "The customer is erased" in answer.content.decode()
        assert User.objects.get(pk=customer.pk).erased_at is not None

    def test_says_what_is_to_be_settled_first(self, customer, root, catalogue):
        check_out(customer, bundles=catalogue["bundles"], now=NOW)
        browser = browser_of(root)
        address = f"/admin/accounts/user/{customer.pk}/erase/"

        assert "Settle first: unpaid invoice INV-20260301" in text_of(browser.get(address))
        assert "First settle:" in text_of(browser.post(address, {"reason": "They asked."}))

        assert User.objects.get(pk=customer.pk).erased_at is None

    def test_is_refused_without_the_permission(self, customer):
        staff = StaffFactory(permissions=["accounts.view_user", "accounts.change_user"])
        address = f"/admin/accounts/user/{customer.pk}/erase/"

        assert browser_of(staff).post(address, {"reason": "x"}).status_code == 403

        assert User.objects.get(pk=customer.pk).erased_at is None

    def test_of_every_row_of_the_erased_opens(self, lived, root):
        browser: Client = browser_of(root)
        outbox.put(kind="receipt", user=lived, reference="x", context={}, now=NOW)
        Event.objects.create(name="mail.retried", user=lived, subject_id=Mail.objects.last().pk)
        erase(lived, root)
        user = User.objects.get(pk=lived.pk)
        rows = {User: user} | {
            type(row): row
            for name in ("invoices", "subscription_set", "tokenbundlepurchase_set", "events")
            for row in getattr(user, name).all()[:1]
        }
        rows |= {Payment: Payment.objects.get(user=user)}
        for page in every_page(_Known(rows)):
            is_theirs = "<id>" in page.template and NOBODY not in page.address
            if is_theirs and not page.template.endswith("/delete/"):
                assert browser.get(page.address).status_code in (200, 302, 405), page.template
        assert text_of(browser.get(f"/admin/accounts/user/{user.pk}/change/"))
        assert text_of(browser.get(page_of(rows[Invoice])))
        assert LogEntry.objects.filter(object_id=str(user.pk)).exists()


class _Known(dict):
    """Rows that are not there have an id that nobody has."""

    def __missing__(self, model):
        return type("Nobody", (), {"pk": NOBODY})()


def test_a_cancelled_subscription_is_no_longer_live(customer, catalogue, root):
    buy_and_end(customer, catalogue)
    assert customer.subscription_set.get().status == SubscriptionStatus.CANCELLED

    assert erase(customer, root).erased_at == LATER
