"""Checkouts at the same moment, on real connections."""

import re
from collections import Counter, defaultdict
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import (
    Event,
    IdempotencyRecord,
    Invoice,
    InvoiceLineItem,
    InvoiceSeries,
    Subscription,
    TokenBundlePurchase,
)
from billing.services import checkout, idempotency
from billing.services.selection import NothingChosen, Order
from tests.factories import PlanFactory, TokenBundleFactory, UserFactory
from tests.threads import at_once, overtaken

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("books_are_clean"),
]
URL = "/api/v1/user/checkout"


class Broken(Exception):
    """What goes wrong on purpose."""


def accepted(made):
    return idempotency.Answer(201, b"{}")


def breaks(made):
    raise Broken


class TestSameKey:
    def test_from_eight_threads_at_once_is_one_checkout(self, customer, signed_in):
        credentials = signed_in(customer).defaults
        body = {
            "plan_id": str(PlanFactory().id),
            "token_bundle_ids": [str(TokenBundleFactory().id)] * 2,
        }

        def send(number):
            client = APIClient(**credentials)
            while True:
                response = client.post(URL, body, headers={"Idempotency-Key": "the-key"})
                if response.status_code != 409:
                    return response
                assert response.json()["code"] == "idempotency_in_progress"

        responses = at_once(8, send)

        assert {response.status_code for response in responses} == {201}
        assert len({response.content for response in responses}) == 1
        replayed = Counter(response.get("Idempotency-Replayed") for response in responses)
        assert replayed == {None: 1, "true": 7}
        assert Invoice.objects.count() == 1
        assert Subscription.objects.count() == 1
        assert TokenBundlePurchase.objects.count() == 2
        assert IdempotencyRecord.objects.count() == 1

    def test_a_first_one_that_fails_leaves_the_key_to_a_repeat(self, customer):
        order = Order(plan_id=PlanFactory().id)
        key = idempotency.Key.of(user_id=customer.id, text="the-key", content="the order")

        def place(number):
            try:
                return checkout.place(
                    user=customer,
                    order=order,
                    answer=breaks if number % 2 else accepted,
                    key=key,
                    now=timezone.now(),
                ).is_replay
            except (Broken, idempotency.IdempotencyInProgress) as refusal:
                return type(refusal).__name__

        at_once(8, place)
        repeat = checkout.place(
            user=customer, order=order, answer=accepted, key=key, now=timezone.now()
        )

        assert repeat.status_code == 201
        assert Invoice.objects.count() == 1


class TestNumbers:
    def test_series_stay_gapless_when_a_third_of_400_checkouts_fail(self):
        bundle = TokenBundleFactory()
        users = UserFactory.create_batch(8)
        good = Order(token_bundle_ids=(bundle.pk,))

        def fifty(number):
            outcomes = Counter()
            for turn in range(50):
                # Every third fails: by turns after its number was taken, and by a refusal.
                fails = (turn + number) % 3 == 0
                late = fails and turn % 2 == 0
                try:
                    checkout.place(
                        user=users[number],
                        order=Order() if fails and not late else good,
                        answer=breaks if late else accepted,
                        now=timezone.now(),
                    )
                    outcomes["placed"] += 1
                except (Broken, NothingChosen) as failure:
                    outcomes[type(failure).__name__] += 1
            return outcomes

        outcomes = sum(at_once(8, fifty), Counter())

        assert sum(outcomes.values()) == 400
        assert 130 <= outcomes["Broken"] + outcomes["NothingChosen"] <= 136
        numbers_by_series = defaultdict(list)
        for number in Invoice.objects.values_list("number", flat=True):
            day, series, count = re.fullmatch(r"INV-(\d{8})-(\d\d)-(\d{6})", number).groups()
            numbers_by_series[day, series].append(int(count))
        assert len(numbers_by_series) > 1
        assert sum(map(len, numbers_by_series.values())) == outcomes["placed"]
        for counts in numbers_by_series.values():
            assert sorted(counts) == list(range(1, len(counts) + 1))
        lasts = {
            (f"{row.day:%Y%m%d}", f"{row.series:02}"): row.last_number
            for row in InvoiceSeries.objects.all()
        }
        assert lasts == {key: len(counts) for key, counts in numbers_by_series.items()}
        assert TokenBundlePurchase.objects.count() == outcomes["placed"]
        assert InvoiceLineItem.objects.count() == outcomes["placed"]
        failed = Event.objects.filter(name="checkout.failed").count()
        assert failed == outcomes["Broken"] + outcomes["NothingChosen"]

    def test_a_held_series_is_passed_by_without_waiting(self, customer, held_by_another):
        now = timezone.now()
        order = Order(token_bundle_ids=(TokenBundleFactory().pk,))
        checkout.create(user=customer, order=order, now=now)
        first = InvoiceSeries.objects.get()

        with held_by_another(first):
            made = checkout.create(user=customer, order=order, now=now)

        assert made.invoice.number == f"INV-{now:%Y%m%d}-02-000001"

    def test_who_opens_the_same_series_second_gets_its_second_number(self, transactional_db):
        now = timezone.now()

        def take():
            return checkout.create(user=user, order=order, now=now).invoice.number

        user = UserFactory()
        order = Order(token_bundle_ids=(TokenBundleFactory().pk,))

        second = overtaken(take, by=lambda: checkout.create(user=user, order=order, now=now))

        assert second == f"INV-{now:%Y%m%d}-01-000002"

    def test_a_number_is_never_given_twice_though_the_series_moved_on(self, customer):
        """The row is read, locked and changed by one statement, on its newest version."""
        order = Order(token_bundle_ids=(TokenBundleFactory().pk,))
        now = timezone.now()

        at_once(
            8,
            lambda number: [
                checkout.create(user=customer, order=order, now=now) for _turn in range(10)
            ],
        )

        taken = list(Invoice.objects.values_list("number", flat=True))
        assert len(taken) == len(set(taken)) == 80


class TestFree:
    def test_subscriptions_of_one_customer_leave_one_live(self, customer):
        orders = [Order(plan_id=PlanFactory(prices={"USD": "0"}).pk) for _turn in range(8)]

        made = at_once(
            8,
            lambda number: (
                checkout.create(user=customer, order=orders[number], now=timezone.now()).is_paid
            ),
        )

        assert made == [True] * 8
        assert Subscription.objects.live().count() == 1
        assert Subscription.objects.filter(cancel_reason="superseded").count() == 7


class TestLocks:
    def test_the_key_is_claimed_for_as_long_as_the_transaction(self, customer):
        key = idempotency.Key.of(user_id=customer.id, text=str(uuid4()), content="anything")

        def another(number):
            with pytest.raises(idempotency.IdempotencyInProgress):
                idempotency.claim(key=key)

        with transaction.atomic():
            idempotency.claim(key=key)
            at_once(1, another)

        at_once(1, lambda number: idempotency.claim(key=key))

    def test_numbers_are_held_to_the_commit(self, customer):
        order = Order(token_bundle_ids=(TokenBundleFactory().pk,))
        now = timezone.now()
        checkout.create(user=customer, order=order, now=now)
        taken = []

        def another(number):
            taken.append(checkout.create(user=customer, order=order, now=now).invoice.number)

        with pytest.raises(Broken):
            checkout.place(
                user=customer,
                order=order,
                answer=lambda made: (at_once(1, another), breaks(made)),
                now=now,
            )

        assert taken == [f"INV-{now:%Y%m%d}-02-000001"]
        made = checkout.create(user=customer, order=order, now=now)
        assert made.invoice.number == f"INV-{now:%Y%m%d}-01-000002"
