"""Payments per second: signed webhooks through HTTP, each for another customer's open invoice."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.contrib.auth.hashers import make_password
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.models import User
from billing.models import Invoice
from tests.benchmarks import generator
from tests.benchmarks.generator import Call, Measured
from tests.benchmarks.requests import count_statements
from tests.benchmarks.world import WEBHOOK_SECRET, World
from tests.billing.purchases import check_out

PATH = "/api/v1/webhooks/payment"
MOST = 500  # captures per second that are prepared for


def run(world: World, *, connections: Sequence[int], rounds: int, seconds: int) -> None:
    """Of 1 plan, 2 bundles and 2 add-ons, by customers who have no subscription yet."""
    [first] = _invoices(world, 1)
    statements = count_statements("POST", _notice(first))
    found = [Measured("1 + 2 + 2", each, statements) for each in connections]
    for number in range(rounds + 1):
        for each in found:
            invoices = _invoices(world, MOST * seconds)
            # Signed last: a signature is good for five minutes.
            calls = [_notice(invoice) for invoice in invoices]
            served = generator.send(
                world, method="POST", calls=calls, connections=each.connections, seconds=seconds
            )
            if served.count > len(calls):
                raise RuntimeError("More captures than invoices: raise MOST, repeats cost less.")
            if number:  # the first round warms up
                each.served.append(served)
    generator.show("capture", f"Captures: plan + bundles + add-ons, {world.server}", found)


def _invoices(world: World, count: int) -> list[Invoice]:
    """Of as many customers: a second subscription would take the place of the first."""
    now, password = timezone.now(), make_password(None)
    begin = User.objects.count()
    users = User.objects.bulk_create(
        User(email=f"payer{begin + number}@example.com", password=password)
        for number in range(count)
    )
    bundles, add_ons = world.bundles[:2], world.add_ons[:2]
    return [
        check_out(user, plan=world.plan, bundles=bundles, add_ons=add_ons, now=now).invoice
        for user in users
    ]


def _notice(invoice: Invoice) -> Call:
    now = timezone.now()
    body = json.dumps(
        {
            "invoice_id": str(invoice.pk),
            "payment_reference": f"pay-{invoice.pk}",
            "amount": str(invoice.total),
            "currency": invoice.currency,
        }
    )
    name = f"msg-{invoice.pk}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(name, now, body),
    }
    return Call(PATH, headers, body)
