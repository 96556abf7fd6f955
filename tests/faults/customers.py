"""Customers, and the payment provider that tells of their payments."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.faults.actors import Actor, together
from tests.faults.board import Bill, Late, Person
from tests.faults.web import Answer, NoAnswer

PASSWORD = "a long enough passphrase"
# What becomes of a payment while staff, or another payment, is at the same invoice.
NOT_TO_BE_PAID = (
    "invoice_already_paid",
    "invoice_cancelled",
    "invoice_refunded",
    "subscription_ended",
)


class Customer(Actor):
    def begin(self) -> None:
        self.people: list[Person] = []
        self.bills: list[Bill] = []
        self._register()

    def act(self) -> None:
        do, weight = zip(
            (self._check_out_once, 5),
            (self._check_out_again_and_again, 4),
            (self._check_out_without_key, 3),
            (self._notify, 5),
            (self._notify_together, 3),
            (self._pay_twice, 2),
            (self._pay_two_with_one_reference, 2),
            (self._notify_of_nothing, 1),
            (self._pay_in_sandbox, 2),
            (self._deliver_late, 3),
            (self._look, 1),
            (self._register, 1),
            strict=True,
        )
        self.chance.choices(do, weight)[0]()

    # --- Coming in ---

    def _register(self) -> None:
        email = f"{self.next_name()}@example.com".lower()
        credentials = {"email": email, "password": PASSWORD}
        try:
            answer = self.web.send("POST", "auth/register", credentials, patience=self.impatience())
        except NoAnswer:
            answer = self.web.until_final("POST", "auth/register", credentials)
        if answer.status == 503:
            answer = self.web.until_final("POST", "auth/register", credentials)
        if answer.status == 400:  # it was done, and the answer was lost
            answer = self.web.until_final("POST", "auth/login", credentials)
        if answer.status != 200:
            self.journal.complain(f"{email} could not come in: {answer.body[:200]!r}")
            return
        told = answer.json
        person = Person(told["user_id"], email, told["token"])
        self.journal.acknowledge("register", user=person.id, email=email)
        self.people.append(person)
        self.board.add(self.board.people, person)

    # --- Buying ---

    def _order(self) -> dict[str, Any]:
        items = self.board.items
        bundles = self.chance.choices(items["bundles"], k=self.chance.randint(0, 3))
        draw = self.chance.random()
        if draw < 0.1:
            return {"plan_id": items["free"][0]}
        if draw < 0.4:
            return {"token_bundle_ids": bundles or items["bundles"][:1]}
        add_ons = self.chance.sample(items["add_ons"], self.chance.randint(0, 2))
        plan = self.chance.choice(items["plans"])
        return {"plan_id": plan, "token_bundle_ids": bundles, "add_on_ids": add_ons}

    def _check_out_once(self) -> None:
        """Once, and again until it is known what became of it."""
        person, order, key = self.chance.choice(self.people), self._order(), self.next_name()
        impatience = self.impatience()
        answer = self._until_final(person, order, key, impatience)
        self._keep(person, key, answer)
        if self.chance.random() < 0.3:
            self._keep(person, key, self._until_final(person, order, key))

    def _check_out_again_and_again(self) -> None:
        """A client that sends the same four times at once, and does not wait between repeats."""
        person, order, key = self.chance.choice(self.people), self._order(), self.next_name()
        call = partial(self._until_final, person, order, key, self.impatience())
        for answer in together(call, call, call, call):
            if isinstance(answer, Answer):
                self._keep(person, key, answer)

    def _until_final(
        self, person: Person, order: dict[str, Any], key: str, patience: float = 5.0
    ) -> Answer:
        return self.web.until_final(
            "POST",
            "user/checkout",
            order,
            token=person.token,
            headers={"Idempotency-Key": key},
            patience=patience,
        )

    def _check_out_without_key(self) -> None:
        person = self.chance.choice(self.people)
        person.unknown += 1
        answer = self.web.send(
            "POST",
            "user/checkout",
            self._order(),
            token=person.token,
            patience=self.impatience(),
        )
        if answer.status == 503:
            return  # it may have been done, or not
        person.unknown -= 1
        self._keep(person, "", answer)

    def _keep(self, person: Person, key: str, answer: Answer) -> None:
        if not self.expect(answer, at="checkout"):
            return
        if key and not self.journal.note_answer(f"{person.email} {key}", answer.body):
            self.journal.acknowledge("replay", key=key)
            return
        invoice = answer.json["invoice"]
        self.journal.acknowledge(
            "checkout",
            user=person.id,
            key=key,
            invoice=invoice["id"],
            number=invoice["invoice_number"],
            amount=invoice["amount"],
            lines=len(invoice["line_items"]),
        )
        if invoice["status"] == "pending":
            bill = Bill(invoice["id"], person, invoice["amount"])
            self.bills.append(bill)
            if self.chance.random() < 0.25:
                self.board.add(self.board.unpaid, bill)

    # --- Paying ---

    def _bill(self) -> Bill | None:
        if not self.bills:
            return None
        return self.bills.pop(self.chance.randrange(len(self.bills)))

    def _notice(self, invoice: str, amount: str) -> dict[str, str]:
        return {
            "invoice_id": invoice,
            "payment_reference": self.next_name(),
            "amount": amount,
            "currency": "USD",
        }

    def _notify(self) -> None:
        """Once; one in three comes again later."""
        bill = self._bill()
        if bill is None:
            return self._check_out_once()
        notice = self._notice(bill.id, bill.amount)
        if self.chance.random() < 0.3:
            self.board.add(self.board.late, Late(notice))
        self._deliver(notice, bill)
        return None

    def _notify_together(self) -> None:
        """The same notification three times at the same moment."""
        bill = self._bill()
        if bill is None:
            return
        notice = self._notice(bill.id, bill.amount)
        together(*[partial(self._deliver, notice, bill)] * 3)

    def _pay_twice(self) -> None:
        """Two payments of one invoice at the same moment: one pays it, the other is kept."""
        bill = self._bill()
        if bill is None:
            return
        notices = [self._notice(bill.id, bill.amount) for _ in range(2)]
        together(*(partial(self._deliver, notice, bill) for notice in notices))

    def _pay_two_with_one_reference(self) -> None:
        """It pays one of them; the other is refused, and its bill stays."""
        bills = [bill for bill in (self._bill(), self._bill()) if bill]
        reference = self.next_name()
        notices = [
            self._notice(bill.id, bill.amount) | {"payment_reference": reference} for bill in bills
        ]
        if len(bills) == 2:
            together(
                *(
                    partial(self._deliver, notice, bill)
                    for notice, bill in zip(notices, bills, strict=True)
                )
            )

    def _notify_of_nothing(self) -> None:
        """For an invoice that does not exist, twice at once: the money is kept, and once."""
        notice = self._notice(f"unknown-{self.next_name()}", "12.34")
        together(*[partial(self._deliver, notice, None)] * 2)

    def _deliver_late(self) -> None:
        late = self.board.take(self.board.late, self.chance)
        if late:
            self._deliver(late.notice, None)

    def _deliver(self, notice: dict[str, str], bill: Bill | None) -> None:
        """As a provider does: again and again until the answer is no error of the server's."""
        patience = self.impatience()
        answer = None
        while answer is None or not answer.is_final:
            try:
                answer = self.web.until_final(
                    "POST",
                    "webhooks/payment",
                    notice,
                    headers=self.web.signed(notice),
                    patience=patience,
                )
            except NoAnswer:
                return  # it has complained
        reference = notice["payment_reference"]
        invoice = notice["invoice_id"]
        if answer.code == "payment_reference_conflict":
            return
        if self.expect(answer, *NOT_TO_BE_PAID, "invoice_not_found", at="notification"):
            if self.journal.note_answer(f"payment {reference}", answer.body):
                self.journal.acknowledge(
                    "payment",
                    provider="webhook",
                    reference=reference,
                    invoice=invoice,
                    tokens=answer.json["tokens_credited"],
                )
                if bill and self.chance.random() < 0.3:
                    self.board.add(self.board.paid, bill)
        elif "payment_id" in answer.json.get("context", {}):
            self.journal.acknowledge("kept", reference=reference, invoice=invoice)

    def _pay_in_sandbox(self) -> None:
        bill = self._bill()
        if bill is None:
            return
        path = f"user/invoices/{bill.id}/pay"
        answer = self.web.until_final(
            "POST", path, token=bill.owner.token, patience=self.impatience()
        )
        if self.expect(answer, "invoice_not_payable", *NOT_TO_BE_PAID, at=path):
            self.journal.acknowledge(
                "payment",
                provider="sandbox",
                reference=f"sandbox-{bill.id}",
                invoice=bill.id,
                tokens=None,
            )

    # --- Looking ---

    def _look(self) -> None:
        person = self.chance.choice(self.people)
        path = self.chance.choice(
            ["user/invoices", "user/tokens/balance", "user/subscriptions", "user/profile"]
        )
        answer = self.web.send("GET", path, token=person.token)
        if answer.status not in (200, 503):
            self.journal.complain(f"{path}: unexpected {answer.status} {answer.body[:200]!r}")
