import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.utils import DatabaseError

from billing.models import Event
from billing.services import books, subscriptions
from tests.billing import broken_periods
from tests.billing.breaking import Break
from tests.billing.broken_rules import BREAKS
from tests.billing.customers import NOON, Customers
from tests.billing.purchases import check_out, pay
from tests.billing.subscribers import Subscribers


@pytest.fixture
def customers() -> Customers:
    return Customers()


@pytest.fixture
def subscribers() -> Subscribers:
    return Subscribers()


def break_books(sql: str, ids: dict[str, Any]) -> None:
    """Write past every trigger and foreign key, as a person at the database could."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, {name: str(pk) for name, pk in ids.items()})
        cursor.execute("SET LOCAL session_replication_role = origin")


def broken(results: list[books.Result]) -> list[str]:
    return [result.name for result in results if result.violations]


def verify_books() -> str:
    """What the command prints."""
    output = io.StringIO()
    call_command("verify_books", stdout=output, stderr=io.StringIO())
    return output.getvalue()


@pytest.mark.django_db
class TestVerify:
    def test_what_the_services_made_is_clean_and_every_rule_has_rows(self, customers, subscribers):
        results = books.verify()

        assert broken(results) == []
        assert [result.name for result in results if result.rows == 0] == []

    def test_an_empty_database_is_clean(self):
        results = books.verify()

        assert {(result.rows, result.violations) for result in results} == {(0, 0)}

    @pytest.mark.parametrize("broken_rule", BREAKS, ids=str)
    def test_reports_exactly_the_rule_that_is_broken(self, customers, broken_rule: Break):
        self.reports(broken_rule, customers.ids)

    @pytest.mark.parametrize("broken_rule", broken_periods.BREAKS, ids=str)
    def test_reports_what_is_wrong_with_periods(self, subscribers, broken_rule: Break):
        self.reports(broken_rule, subscribers.ids)

    def reports(self, broken_rule: Break, ids: dict[str, Any]) -> None:
        break_books(broken_rule.sql, ids)

        results = books.verify()

        assert broken(results) == [broken_rule.rule]
        (found,) = [result for result in results if result.violations]
        assert 1 <= found.violations <= found.rows
        assert len(found.examples) == found.violations
        if broken_rule.example:
            assert str(ids[broken_rule.example]) in found.examples

    def test_each_rule_is_broken_by_some_test(self):
        broken = {rule.rule for rule in (*BREAKS, *broken_periods.BREAKS)}
        assert {check.name for check in books.CHECKS} == broken
        assert len({check.name for check in books.CHECKS}) == len(books.CHECKS)

    def test_counts_all_violations_and_names_a_few(self, customers):
        break_books("DELETE FROM billing_event WHERE name = 'checkout.completed'", customers.ids)

        (found,) = [result for result in books.verify() if result.violations]

        assert found.name == "event_of_checkout"
        assert (found.rows, found.violations) == (17, 17)
        assert len(found.examples) == 5

    def test_is_one_statement_per_rule_however_many_rows_there_are(
        self, customers, django_assert_num_queries
    ):
        with django_assert_num_queries(len(books.CHECKS)):
            books.verify()

    def test_tells_how_far_it_is(self):
        told = []

        books.verify(progress=lambda *step: told.append(step))

        total = len(books.CHECKS)
        assert told[0] == (0, total, "There is one account per e-mail, whatever its case")
        assert [done for done, _total, _what in told] == list(range(total + 1))
        assert told[-1] == (total, total, "")


@pytest.mark.django_db
class TestCleanBooks:
    """Ways through the services that touch rows which were right before."""

    def test_after_a_resume(self, customers):
        eve = customers.subscription("eve")

        subscriptions.resume(subscription=eve, now=NOON + timedelta(days=5))

        assert broken(books.verify()) == []

    def test_after_a_paused_one_was_cancelled(self, customers):
        eve = customers.subscription("eve")

        subscriptions.cancel(subscription=eve, now=NOON + timedelta(days=5))

        assert broken(books.verify()) == []

    def test_after_one_that_never_ends_was_cancelled(self, customers):
        fay = customers.subscription("fay")
        made = check_out(fay.user, add_ons=[customers.support], now=NOON)
        pay(made.invoice, now=NOON)

        subscriptions.cancel(subscription=fay, now=NOON + timedelta(days=5))

        assert broken(books.verify()) == []

    def test_after_a_cancelled_one_was_replaced(self, customers):
        ann = customers.subscription("ann")
        subscriptions.cancel(subscription=ann, now=NOON + timedelta(days=5))

        made = check_out(ann.user, plan=customers.team, now=NOON + timedelta(days=6))
        pay(made.invoice, now=NOON + timedelta(days=6))

        assert broken(books.verify()) == []

    @pytest.mark.parametrize("days", [5, 50])
    def test_after_a_paused_one_was_replaced(self, customers, days):
        eve = customers.subscription("eve")
        later = NOON + timedelta(days=days)

        made = check_out(eve.user, plan=customers.team, now=later)
        pay(made.invoice, now=later)

        eve.refresh_from_db()
        assert (eve.cancel_reason, eve.expires_at) == ("superseded", later)
        assert broken(books.verify()) == []

    def test_after_one_that_had_lapsed_was_replaced(self, customers):
        ann = customers.subscription("ann")
        later = NOON + timedelta(days=50)

        made = check_out(ann.user, plan=customers.team, now=later)
        pay(made.invoice, now=later)

        assert broken(books.verify()) == []


FAILED = "UPDATE billing_invoice SET status = 'failed' WHERE id = %(bob_invoice)s"


@pytest.mark.django_db
class TestOtherStates:
    """What is right without being where a checkout and its payment lead."""

    @pytest.mark.parametrize(
        "statement",
        [
            pytest.param(FAILED, id="a payment has failed and may be tried again"),
        ],
    )
    def test_are_clean(self, customers, statement):
        break_books(statement, customers.ids)

        assert broken(books.verify()) == []


@pytest.mark.django_db(transaction=True)
class TestSnapshot:
    """Outside any transaction, as the command runs."""

    def test_does_not_see_what_others_commit_meanwhile(self):
        other = connection.copy()

        def commit_meanwhile(done: int, total: int, what: str) -> None:
            if done == 1:  # the first statement of the snapshot has run
                with other.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO billing_invoiceseries (day, series, last_number)"
                        " VALUES ('2026-03-01', 1, 1)"
                    )

        try:
            during = books.verify(progress=commit_meanwhile)
            afterwards = books.verify()
        finally:
            other.close()

        assert broken(during) == []
        assert broken(afterwards) == ["series_has_no_gap"]

    def test_can_write_nothing(self):
        def write(done: int, total: int, what: str) -> None:
            Event.objects.create(name="test.happened")

        with pytest.raises(DatabaseError, match="read-only transaction"):
            books.verify(progress=write)

        assert not Event.objects.exists()

    def test_leaves_the_connection_as_it_was(self):
        with connection.cursor() as cursor:
            cursor.execute("SHOW work_mem")
            before = cursor.fetchone()

            books.verify()

            cursor.execute("SHOW work_mem")
            assert cursor.fetchone() == before
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("read committed",)


@pytest.mark.django_db
class TestCommand:
    def test_prints_what_was_checked_and_succeeds(self, customers):
        printed = verify_books()

        (row,) = [line for line in printed.splitlines() if "one account per e-mail" in line]
        assert [cell.strip() for cell in row.strip("│").split("│")] == [
            "There is one account per e-mail, whatever its case",
            "13",
            "0",
        ]
        assert f"{len(books.CHECKS)} rules verified in" in printed
        assert "for example" not in printed

    def test_names_what_is_broken_and_fails(self, customers):
        break_books(
            "UPDATE billing_tokenaccount SET balance = balance + 1 WHERE user_id = %(ann)s",
            customers.ids,
        )
        output = io.StringIO()

        with pytest.raises(CommandError, match=r"1 of \d+ rules are broken") as failed:
            call_command("verify_books", stdout=output, stderr=io.StringIO())

        assert failed.value.returncode == 1
        assert f"token_balance_is_sum: for example {customers.ids['ann']}" in output.getvalue()

    def test_progress_goes_to_stderr_and_is_plain_in_a_file(self):
        progress = io.StringIO()

        call_command("verify_books", stdout=io.StringIO(), stderr=progress)

        total = len(books.CHECKS)
        assert f"{total}/{total}" in progress.getvalue()
        assert "\x1b" not in progress.getvalue()
