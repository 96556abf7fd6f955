import threading

import pytest
from django.db import connection
from django.utils import timezone

from billing.models import Invoice, TokenBundlePurchase
from billing.services import checkout
from billing.services.checkout import ItemWithdrawn
from billing.services.selection import Order
from catalog.models import TokenBundle
from tests.billing.purchases import events_named
from tests.factories import TokenBundleFactory


def delete_elsewhere(bundle):
    """Staff deletes it, on another connection, while a checkout of it is not committed yet."""

    def delete():
        TokenBundle.objects.filter(pk=bundle.pk).delete()
        connection.close()

    thread = threading.Thread(target=delete)
    thread.start()
    thread.join()


@pytest.mark.django_db(transaction=True)
class TestItemDeletedMeanwhile:
    def test_refuses_the_checkout_and_leaves_nothing(self, customer):
        bundle = TokenBundleFactory()

        with pytest.raises(ItemWithdrawn) as refused:
            checkout.place(
                user=customer,
                order=Order(token_bundle_ids=(bundle.pk,)),
                answer=lambda made: delete_elsewhere(bundle),
                now=timezone.now(),
            )

        assert (refused.value.code, refused.value.http_status) == ("item_withdrawn", 409)
        assert Invoice.objects.count() == 0
        assert TokenBundlePurchase.objects.count() == 0
        [failed] = events_named("checkout.failed")
        assert failed.payload["code"] == "item_withdrawn"
