"""Members of staff, by the API; and who spends customers' tokens, by the service."""

from __future__ import annotations

import time
from functools import partial
from uuid import UUID

from django.db import Error, close_old_connections, connections
from django.utils import timezone

from billing.services import tokens
from billing.services.tokens import NotEnoughTokens
from config.connections import is_away
from tests.faults.actors import Actor, together
from tests.faults.board import Bill


class Staff(Actor):
    """Each does what it does until it knows what became of it."""

    def act(self) -> None:
        do, weight = zip(
            (self._void, 3),
            (self._mark_paid, 3),
            (self._refund, 3),
            (self._suspend_and_bring_back, 1),
            strict=True,
        )
        self.chance.choices(do, weight)[0]()
        self.board.over.wait(0.05)

    def _post(self, path: str, body: dict[str, str]) -> object:
        return self.web.until_final(
            "POST", path, body, token=self.board.staff_token, patience=self.impatience()
        )

    def _void(self) -> None:
        bill: Bill | None = self.board.take(self.board.unpaid, self.chance)
        if bill is None:
            return
        path = f"admin/invoices/{bill.id}/void"
        answer = self._post(path, {})
        if self.expect(answer, "invoice_state_forbids", at=path):
            self.journal.acknowledge("void", invoice=bill.id)

    def _mark_paid(self) -> None:
        """Twice at once: of two clerks at the same bank statement."""
        bill: Bill | None = self.board.take(self.board.unpaid, self.chance)
        if bill is None:
            return
        path = f"admin/invoices/{bill.id}/mark-paid"
        told = {"payment_reference": self.next_name(), "payment_method": "transfer"}
        call = partial(self._post, path, told)
        codes = ("invoice_already_paid", "invoice_cancelled", "invoice_refunded")
        done = [
            self.expect(answer, *codes, "subscription_ended", at=path)
            for answer in together(call, call)
            if hasattr(answer, "status")
        ]
        if any(done):
            self.journal.acknowledge(
                "payment",
                provider="manual",
                reference=told["payment_reference"],
                invoice=bill.id,
                tokens=None,
            )

    def _refund(self) -> None:
        bill: Bill | None = self.board.take(self.board.paid, self.chance)
        if bill is None:
            return
        path = f"admin/invoices/{bill.id}/refund"
        reference = self.next_name()
        answer = self._post(path, {"refund_reference": reference})
        if self.expect(answer, "invoice_state_forbids", at=path):
            self.journal.acknowledge("refund", invoice=bill.id, reference=reference)

    def _suspend_and_bring_back(self) -> None:
        """A customer of this member's own: the last word about them is this one's."""
        if not hasattr(self, "own"):
            email = f"{self.next_name()}@example.com".lower()
            answer = self._post("admin/users", {"email": email})
            if answer.status == 409:  # it was done, and the answer was lost
                listed = self.web.until_final(
                    "GET", f"admin/users?search={email}", token=self.board.staff_token
                )
                self.own = listed.json["users"][0]["id"]
            elif self.expect(answer, at="admin/users"):
                self.own = answer.json["id"]
            else:
                return
        action = self.chance.choice(["suspend", "activate"])
        answer = self._post(f"admin/users/{self.own}/{action}", {})
        if self.expect(answer, at=action):
            status = {"suspend": "suspended", "activate": "active"}[action]
            self.journal.acknowledge("status", user=self.own, status=status)


class Spender(Actor):
    """Takes tokens out of accounts, often twice at once, as an application does that sells them."""

    def act(self) -> None:
        person = self.chance.choice(self.board.people) if self.board.people else None
        if person is None:
            self.board.over.wait(0.1)
            return
        user, amount = UUID(person.id), self.chance.randint(1, 30)
        references = [self.next_name()] * 2 if self.chance.random() < 0.4 else []
        references += [self.next_name() for _ in range(2)]
        together(*(partial(self._spend, user, amount, reference) for reference in references))
        self.board.over.wait(self.chance.uniform(0, 0.03))

    def settle(self) -> None:
        connections.close_all()

    def _spend(self, user: UUID, amount: int, reference: str) -> None:
        """Until it is known: the reference makes a repeat harmless."""
        try:
            while True:
                close_old_connections()
                try:
                    moved = tokens.spend(
                        user_id=user, amount=amount, reference=reference, now=timezone.now()
                    )
                except NotEnoughTokens:
                    return
                except Error as failure:
                    if not is_away(failure):
                        raise
                    connections.close_all()
                    time.sleep(0.05)
                    continue
                break
            if self.journal.note_answer(f"spend {reference}", str(moved.balance_after).encode()):
                self.journal.acknowledge(
                    "spend", user=str(user), reference=reference, amount=amount
                )
        except Exception as failure:  # noqa: BLE001 - a rule that broke is what is looked for
            self.journal.complain(f"spending {reference}: {failure!r}")
        finally:
            connections.close_all()
