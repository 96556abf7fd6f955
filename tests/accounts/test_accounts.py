from datetime import UTC, datetime

import pytest

from accounts.models import Session, User
from accounts.services import accounts, sessions
from tests.factories import UserFactory
from tests.threads import overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db

EVERY_CHANGE = pytest.mark.parametrize(
    "change", [accounts.suspend, accounts.activate, accounts.close]
)


class TestSuspend:
    @pytest.mark.parametrize("status", ["pending", "active"])
    def test_ends_every_session(self, status):
        customer, other = UserFactory(status=status), UserFactory()
        sessions.open(user=customer, now=NOON)
        sessions.open(user=other, now=NOON)

        suspended = accounts.suspend(user=customer, now=NOON)

        assert suspended.status == "suspended"
        customer.refresh_from_db()
        assert customer.status == "suspended"
        assert Session.objects.get(user=customer).ended_at == NOON
        assert Session.objects.get(user=other).ended_at is None

    def test_again_changes_nothing(self, customer):
        accounts.suspend(user=customer, now=NOON)

        accounts.suspend(user=customer, now=NOON)

        customer.refresh_from_db()
        assert customer.status == "suspended"
        assert [before.status for before in customer.history.all()] == ["active"]


class TestActivate:
    @pytest.mark.parametrize("status", ["pending", "suspended", "active"])
    def test_lets_somebody_in(self, status):
        customer = UserFactory(status=status)

        activated = accounts.activate(user=customer, now=NOON)

        assert activated.status == "active"
        customer.refresh_from_db()
        assert customer.status == "active"

    def test_leaves_sessions_alone(self, customer):
        sessions.open(user=customer, now=NOON)

        accounts.activate(user=customer, now=NOON)

        assert Session.objects.get().ended_at is None


class TestClose:
    @pytest.mark.parametrize("status", ["pending", "active", "suspended", "deleted"])
    def test_keeps_the_row_and_ends_every_session(self, status):
        customer = UserFactory(status=status)
        sessions.open(user=customer, now=NOON)

        accounts.close(user=customer, now=NOON)

        customer.refresh_from_db()
        assert customer.status == "deleted"
        assert Session.objects.get().ended_at == NOON

    @pytest.mark.parametrize("change", [accounts.suspend, accounts.activate])
    def test_is_for_good(self, change):
        customer = UserFactory(status="deleted")

        with pytest.raises(accounts.AccountClosed) as refusal:
            change(user=customer, now=NOON)

        assert refusal.value.code == "account_closed"
        customer.refresh_from_db()
        assert customer.status == "deleted"


class TestEveryChange:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("change", [accounts.suspend, accounts.activate])
    def test_waits_for_another_and_does_not_reopen_what_it_closed(self, change):
        customer = UserFactory(status="pending")

        def change_too_late():
            with pytest.raises(accounts.AccountClosed):
                change(user=customer, now=NOON)

        overtaken(change_too_late, by=lambda: accounts.close(user=customer, now=NOON))

        customer.refresh_from_db()
        assert customer.status == "deleted"

    @EVERY_CHANGE
    def test_goes_by_the_row_and_not_by_what_was_read_before(self, change):
        customer = UserFactory()
        User.objects.update(email="new@example.com")

        change(user=customer, now=NOON)

        assert User.objects.get().email == "new@example.com"
