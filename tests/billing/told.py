"""One customer, and what comes of each thing that happens to them: rows of a worked example."""

from datetime import datetime

from billing.models import Invoice, TestClock
from billing.models.subscription import SubscriptionStatus
from billing.services import changes, checkout, customer_credit, subscriptions
from billing.services.renewals import running
from billing.services.selection import Order
from catalog.money import Money
from tests.billing.purchases import pay
from tests.billing.renewals.story import Behaviour
from tests.factories import UserFactory

COLUMNS = ("on", "what happens", "invoice", "to pay", "credit left", "then it is")


def day(moment):
    return f"{moment.day} {moment:%B %Y}"


def shown(money):
    return str(money).replace("-", "−")


class Story:
    """
    One customer, and a row of the table for each thing that happens to them.

    :param behaviour: how they pay for what is renewed; what they ask for themselves is paid at once
    """

    def __init__(self, *, behaviour=Behaviour.PAYS):
        self.user = UserFactory()
        self.behaviour = behaviour
        self.rows = []
        self.subscription = None
        self._seen = set()

    def checks_out(self, bought, now, *, add_ons=(), **order):
        wanted = Order(
            plan_id=bought.pk, add_on_ids=tuple(add_on.pk for add_on in add_ons), **order
        )
        made = checkout.create(user=self.user, order=wanted, now=now)
        self.subscription = made.subscription
        self._pay(made.invoice, now)
        TestClock.objects.create(user=self.user, now_at=now, behaviour=self.behaviour)
        self._note(now, "checkout")

    def changes(self, what, now, **wanted):
        invoice = changes.request(subscription=self.subscription, now=now, **wanted).invoice
        if invoice:
            self._pay(invoice, now)
        self._note(now, what)

    def wishes(self, what, now, **wanted):
        changes.at_period_end(subscription=self.subscription, now=now, **wanted)
        self._note(now, what)

    def pauses(self, now):
        subscriptions.pause(subscription=self.subscription, now=now)
        self._note(now, "pause")

    def resumes(self, now):
        subscriptions.resume(subscription=self.subscription, now=now)
        self._note(now, "resume")

    def is_billed(self, now, what="renewal"):
        running.run(now=now, user_id=self.user.pk)
        self._note(now, what)

    def transfers(self, now):
        """Pay what is open, by bank."""
        pay(Invoice.objects.get(user=self.user, status="failed"), now=now)
        self._note(now, "the money arrives")

    def shows(self, *expected):
        """The last row, from the invoice on."""
        assert self.rows[-1][2:] == expected

    def _pay(self, invoice, now):
        if invoice.status != Invoice.Status.PAID:
            pay(invoice, now=now)

    def _note(self, now: datetime, what: str):
        self.subscription.refresh_from_db()
        new = Invoice.objects.filter(user=self.user).exclude(pk__in=self._seen).order_by("pk")
        invoices = list(new)
        self._seen |= {invoice.pk for invoice in invoices}
        assert len(invoices) <= 1, "A row is of one invoice."
        (credit,) = customer_credit.balances(user_id=self.user.pk) or [self._zero()]
        row = (day(now), what, *self._invoice(invoices), shown(credit), self._standing())
        self.rows.append(row)

    def _invoice(self, invoices):
        if not invoices:
            return "–", "–"
        (invoice,) = invoices
        lines = [
            f"{line.quantity} × {line.description}" if line.quantity > 1 else line.description
            for line in invoice.line_items.all()
        ]
        amounts = [shown(Money(line.amount, invoice.currency)) for line in invoice.line_items.all()]
        said = "; ".join(f"{line} {amount}" for line, amount in zip(lines, amounts, strict=True))
        return said, shown(invoice.total)

    def _standing(self):
        own = self.subscription
        if own.paused_at:
            return f"{own.name}, paused, {(own.expires_at - own.paused_at).days} days left"
        if own.past_due_since:
            return f"{own.name}, past due; access to {day(own.grace_until)}"
        reach = "since" if own.status == SubscriptionStatus.EXPIRED else "to"
        return f"{own.name}, {own.status} {reach} {day(own.expires_at)}"

    def _zero(self):
        return Money.zero(self.subscription.currency)
