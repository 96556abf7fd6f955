"""Tokens that staff grant or take by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from billing.models import Event, TokenTransaction
from billing.services import token_adjustments, tokens
from billing.services.invoices import ReasonMissing
from billing.services.token_adjustments import TokenLimitExceeded
from tests.billing.purchases import check_out, pay
from tests.factories import StaffFactory, TokenBundleFactory, UserFactory
from tests.threads import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.BILLING_TOKEN_LIMITS = {"Support": 1000, "Finance": 5000}


@pytest.fixture
def agent(roles):
    agent = StaffFactory(email="agent@example.com")
    agent.groups.add(roles["Support"])
    return agent


def adjust(customer, agent, amount, *, reference="one", reason="An outage", now=NOON):
    return token_adjustments.adjust(
        user_id=customer.pk, amount=amount, reference=reference, reason=reason, by=agent, now=now
    )


class TestAdjust:
    def test_grants(self, customer, agent):
        moved = adjust(customer, agent, 300)

        assert (moved.amount, moved.balance_after) == (300, 300)
        assert (moved.transaction_type, moved.description) == ("bonus", "Granted by our staff")

    def test_takes(self, customer, agent):
        adjust(customer, agent, 300)

        moved = adjust(customer, agent, -120, reference="two")

        assert (moved.amount, moved.balance_after) == (-120, 180)
        assert moved.transaction_type == "adjustment"

    def test_tells_who_and_why(self, customer, agent):
        moved = adjust(customer, agent, 300)

        event = Event.objects.get(name="tokens.adjusted")
        assert (event.user_id, event.subject_id) == (customer.pk, moved.pk)
        assert event.payload == {"tokens": 300, "by": str(agent.pk), "reason": "An outage"}

    @pytest.mark.parametrize("amount", [300, -300])
    def test_again_moves_nothing_more(self, customer, agent, amount):
        adjust(customer, agent, 500, reference="first")

        adjust(customer, agent, amount)
        adjust(customer, agent, amount)

        assert tokens.balance_of(user_id=customer.pk) == 500 + amount
        assert Event.objects.filter(name="tokens.adjusted").count() == 2

    @pytest.mark.parametrize("amount", [301, -300])
    def test_of_a_reference_that_was_used_for_another_amount_is_refused(
        self, customer, agent, amount
    ):
        adjust(customer, agent, 300)

        with pytest.raises(tokens.TokenReferenceReused):
            adjust(customer, agent, amount)

        assert tokens.balance_of(user_id=customer.pk) == 300

    def test_takes_no_more_than_is_there(self, customer, agent):
        adjust(customer, agent, 300)

        with pytest.raises(tokens.NotEnoughTokens):
            adjust(customer, agent, -301, reference="two")

        assert tokens.balance_of(user_id=customer.pk) == 300
        assert Event.objects.filter(name="tokens.adjusted").count() == 1

    def test_of_nothing_is_refused(self, customer, agent):
        with pytest.raises(tokens.InvalidTokenAmount):
            adjust(customer, agent, 0)

    def test_without_a_reason_is_refused(self, customer, agent):
        with pytest.raises(ReasonMissing):
            adjust(customer, agent, 1, reason=" ")

        assert not TokenTransaction.objects.exists()

    def test_waits_for_the_customer(self, customer, agent, held_by_another):
        with held_by_another(customer), pytest.raises(OperationalError, match="lock timeout"):
            adjust(customer, agent, 1)


class TestLimit:
    def test_is_of_one_customer(self, customer, agent):
        adjust(customer, agent, 1000)

        assert adjust(UserFactory(), agent, 1000).balance_after == 1000

    def test_is_each_members_own(self, customer, agent, roles):
        """What a superuser gives takes nothing from what the agent may give."""
        colleague = StaffFactory()
        colleague.groups.add(roles["Support"])
        adjust(customer, StaffFactory(is_superuser=True), 50_000, reference="by root")
        adjust(customer, colleague, 1000, reference="by a colleague")

        assert adjust(customer, agent, 1000).balance_after == 52_000

    def test_is_not_used_up_by_a_repeat(self, customer, agent):
        adjust(customer, agent, 600)

        adjust(customer, agent, 600)

        assert adjust(customer, agent, 400, reference="two").balance_after == 1000

    def test_is_of_one_day(self, customer, agent):
        adjust(customer, agent, 600)

        with pytest.raises(TokenLimitExceeded) as refusal:
            adjust(customer, agent, 401, reference="two")

        assert refusal.value.code == "token_limit_exceeded"
        assert refusal.value.context == {"limit": 1000, "left": 400}
        assert adjust(customer, agent, 400, reference="three").balance_after == 1000

    def test_counts_what_is_taken_too(self, customer, agent):
        adjust(customer, agent, 600)

        with pytest.raises(TokenLimitExceeded):
            adjust(customer, agent, -500, reference="two")

    def test_begins_anew_with_the_sellers_day(self, customer, agent, settings):
        settings.BILLING_TIME_ZONE = "Asia/Tokyo"
        adjust(customer, agent, 1000, now=datetime(2026, 3, 1, 14, 59, tzinfo=UTC))

        moved = adjust(
            customer, agent, 1000, reference="two", now=datetime(2026, 3, 1, 15, 0, tzinfo=UTC)
        )

        assert moved.balance_after == 2000

    def test_does_not_count_what_was_bought_or_used(self, customer, agent):
        bundle = TokenBundleFactory(token_amount=5000)
        made = check_out(customer, bundles=[bundle], now=NOON)
        pay(made.invoice, now=NOON)
        tokens.spend(user_id=customer.pk, amount=800, reference="use", now=NOON)

        assert adjust(customer, agent, 1000).balance_after == 5200

    def test_is_the_largest_of_the_groups(self, agent, roles):
        agent.groups.add(roles["Finance"])

        assert token_adjustments.limit_of(agent) == 5000

    def test_is_none_at_all_without_a_group_that_has_one(self, customer, roles):
        stranger = StaffFactory()
        stranger.groups.add(roles["Catalogue"])

        with pytest.raises(TokenLimitExceeded):
            adjust(customer, stranger, 1)

    def test_does_not_bind_a_superuser(self, customer):
        superuser = StaffFactory(is_superuser=True)

        assert token_adjustments.limit_of(superuser) is None
        assert adjust(customer, superuser, 10**9).balance_after == 10**9

    def test_holds_for_several_at_once(self, customer, agent):
        def try_to(number):
            try:
                adjust(customer, agent, 400, reference=f"at once {number}")
            except TokenLimitExceeded:
                return False
            return True

        assert sorted(at_once(4, try_to)) == [False, False, True, True]
        assert tokens.balance_of(user_id=customer.pk) == 800
