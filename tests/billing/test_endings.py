from datetime import timedelta

import pytest

from billing.models import AddOnSubscription
from billing.services import endings
from tests.billing.renewals.story import at, run, subscriber
from tests.factories import AddOnFactory, PlanFactory

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class TestEnd:
    def test_ends_an_add_on_too_that_was_just_to_be_renewed(self):
        """Its week was over on the 8th, and the billing has not been run since."""
        watch = AddOnFactory(billing_period="weekly", prices={"USD": "7.00"})
        subscription = subscriber(
            plan=PlanFactory(prices={"USD": "31.00"}), add_ons=[watch], now=at(1, 1)
        )

        endings.end(subscription=subscription, now=at(1, 9))

        add_on = AddOnSubscription.objects.get()
        assert (add_on.status, add_on.cancel_reason) == ("cancelled", "customer")
        assert add_on.expires_at == at(1, 8)
        run(subscription, at(2, 1))
        assert subscription.invoices.count() == 1
