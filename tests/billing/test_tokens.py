from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, InternalError, transaction

from billing.models import TokenAccount, TokenTransaction
from billing.services import tokens
from billing.services.tokens import Movement
from tests.factories import UserFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BALANCE = "/api/v1/user/tokens/balance"
TRANSACTIONS = "/api/v1/user/tokens/transactions"


def credit(user, *amounts, reference="r", now=NOON):
    return tokens.credit(
        user_id=user.id,
        movements=[
            Movement(amount, f"{reference}{position}", "Starter")
            for position, amount in enumerate(amounts)
        ],
        now=now,
    )


def spend(user, amount, reference="use"):
    return tokens.spend(
        user_id=user.id, amount=amount, reference=reference, description="A job", now=NOON
    )


def books(user):
    """Balance, and the amounts and balances of its transactions in their order."""
    rows = TokenTransaction.objects.filter(account_id=user.id).order_by("sequence")
    return tokens.balance_of(user_id=user.id), [(row.amount, row.balance_after) for row in rows]


@pytest.mark.django_db
class TestCredit:
    def test_opens_the_account(self, customer):
        (transaction,) = credit(customer, 500)

        assert books(customer) == (500, [(500, 500)])
        assert transaction.transaction_type == "purchase"
        assert transaction.reference_id == "r0"
        assert transaction.description == "Starter"
        assert transaction.sequence == 1
        assert transaction.created_at == NOON

    def test_adds_to_what_is_there(self, customer):
        credit(customer, 500, 100)

        credit(customer, 40, 2, reference="more")

        assert books(customer) == (642, [(500, 500), (100, 600), (40, 640), (2, 642)])
        assert TokenAccount.objects.get().last_sequence == 4

    @pytest.mark.parametrize("count", [1, 50])
    def test_is_two_statements_however_many_movements(
        self, customer, django_assert_num_queries, count
    ):
        with django_assert_num_queries(4):  # with SAVEPOINT and RELEASE SAVEPOINT
            credit(customer, *[1] * count)

        assert tokens.balance_of(user_id=customer.id) == count

    def test_of_nothing_writes_nothing(self, customer):
        assert tokens.credit(user_id=customer.id, movements=[], now=NOON) == []
        assert not TokenAccount.objects.exists()

    def test_of_more_than_an_account_holds_is_refused_whole(self, customer):
        credit(customer, 2**63 - 8)
        credit(customer, 5, reference="fits")

        for amounts in ([3], [1, 1, 1], [2**63 - 1], [2**63]):
            with pytest.raises(tokens.TokenBalanceFull) as refusal:
                credit(customer, *amounts, reference="more")

        assert (refusal.value.code, refusal.value.http_status) == ("token_balance_full", 409)
        assert tokens.balance_of(user_id=customer.id) == 2**63 - 3
        assert TokenTransaction.objects.count() == 2
        assert TokenAccount.objects.get().last_sequence == 2
        credit(customer, 2, reference="to the brim")
        assert tokens.balance_of(user_id=customer.id) == 2**63 - 1

    def test_of_too_much_at_once_opens_no_account(self, customer):
        with pytest.raises(tokens.TokenBalanceFull):
            credit(customer, 2**62, 2**62)

        assert not TokenAccount.objects.exists()

    def test_of_the_same_reference_again_is_refused_whole(self, customer):
        credit(customer, 500)

        with pytest.raises(tokens.TokenReferenceReused) as refusal:
            tokens.credit(
                user_id=customer.id,
                movements=[Movement(7, "new"), Movement(500, "r0")],
                now=NOON,
            )

        assert refusal.value.code == "token_reference_reused"
        assert refusal.value.http_status == 409
        assert books(customer) == (500, [(500, 500)])

    def test_the_same_reference_of_another_type_or_customer_is_another(self, customer):
        other = UserFactory()
        credit(customer, 500)

        credit(other, 500)
        tokens.credit(
            user_id=customer.id,
            movements=[Movement(500, "r0")],
            transaction_type="bonus",
            now=NOON,
        )

        assert tokens.balance_of(user_id=customer.id) == 1000
        assert tokens.balance_of(user_id=other.id) == 500

    @pytest.mark.parametrize("amount", [0, -1])
    def test_of_less_than_one_token_is_refused(self, customer, amount):
        with pytest.raises(tokens.InvalidTokenAmount) as refusal:
            credit(customer, 500, amount)

        assert refusal.value.code == "invalid_token_amount"
        assert books(customer) == (0, [])

    def test_another_broken_constraint_is_not_taken_for_a_repeat(self, customer):
        credit(customer, 500)
        TokenAccount.objects.update(last_sequence=0)  # a defect: it was 1

        with pytest.raises(IntegrityError, match="token_transaction_sequence_once"):
            credit(customer, 500, reference="more")

        assert books(customer) == (500, [(500, 500)])


@pytest.mark.django_db
class TestSpend:
    def test_takes_tokens_out(self, customer):
        credit(customer, 500)

        spent = spend(customer, 120)

        assert books(customer) == (380, [(500, 500), (-120, 380)])
        assert spent.transaction_type == "usage"
        assert spent.description == "A job"

    def test_of_the_same_reference_again_takes_nothing_more(self, customer):
        credit(customer, 500)
        first = spend(customer, 120)

        second = spend(customer, 120)

        assert second == first
        assert books(customer) == (380, [(500, 500), (-120, 380)])

    def test_of_the_same_reference_again_is_known_though_too_little_is_left(self, customer):
        credit(customer, 500)
        first = spend(customer, 400)

        assert spend(customer, 400) == first
        assert tokens.balance_of(user_id=customer.id) == 100

    @pytest.mark.parametrize("amount", [121, 450])
    def test_of_the_same_reference_for_another_amount_is_refused(self, customer, amount):
        credit(customer, 500)
        spend(customer, 120)

        with pytest.raises(tokens.TokenReferenceReused):
            spend(customer, amount)

        assert books(customer) == (380, [(500, 500), (-120, 380)])

    def test_to_the_last_token(self, customer):
        credit(customer, 500)

        spend(customer, 500)

        assert books(customer) == (0, [(500, 500), (-500, 0)])

    @pytest.mark.parametrize("credited", [[], [500]])
    def test_of_more_than_there_are_is_refused(self, customer, credited):
        credit(customer, *credited)
        before = books(customer)

        with pytest.raises(tokens.NotEnoughTokens) as refusal:
            spend(customer, 501)

        assert refusal.value.code == "not_enough_tokens"
        assert refusal.value.http_status == 402
        assert refusal.value.context == {"balance": sum(credited), "needed": 501}
        assert books(customer) == before

    @pytest.mark.parametrize("amount", [0, -5])
    def test_of_less_than_one_token_is_refused(self, customer, amount):
        credit(customer, 500)

        with pytest.raises(tokens.InvalidTokenAmount):
            spend(customer, amount)

        assert tokens.balance_of(user_id=customer.id) == 500


@pytest.mark.django_db
class TestLedger:
    def test_the_database_keeps_a_balance_from_falling_below_zero(self, customer):
        credit(customer, 500)

        with pytest.raises(IntegrityError, match="token_account_not_negative"):
            TokenAccount.objects.update(balance=-1)

    @pytest.mark.parametrize("write", ["update", "delete"])
    def test_the_database_keeps_transactions_as_they_are(self, customer, write):
        credit(customer, 500)
        rows = TokenTransaction.objects.all()

        with (
            pytest.raises(InternalError, match="token_transaction_is_kept"),
            transaction.atomic(),
        ):
            rows.update(amount=5) if write == "update" else rows.delete()

        assert books(customer) == (500, [(500, 500)])


@pytest.mark.django_db
class TestBalance:
    def test_of_a_new_customer_is_zero(self, customer, signed_in):
        response = signed_in(customer).get(BALANCE)

        assert response.status_code == 200
        assert response.json() == {"balance": 0}

    def test_is_the_customers_own(self, customer, signed_in):
        credit(customer, 500)
        credit(UserFactory(), 7)

        assert signed_in(customer).get(f"{BALANCE}/").json() == {"balance": 500}

    def test_needs_a_token(self, api):
        assert api.get(BALANCE).status_code == 401


@pytest.mark.django_db
class TestTransactions:
    def test_have_every_key_of_the_contract_newest_first(self, customer, signed_in):
        (bought,) = credit(customer, 500)
        spent = spend(customer, 120)
        credit(UserFactory(), 7)

        response = signed_in(customer).get(TRANSACTIONS)

        assert response.status_code == 200
        assert response.json() == {
            "transactions": [
                {
                    "id": str(spent.id),
                    "amount": -120,
                    "transaction_type": "usage",
                    "reference_id": "use",
                    "description": "A job",
                    "balance_after": 380,
                    "created_at": "2026-03-01T12:00:00Z",
                },
                {
                    "id": str(bought.id),
                    "amount": 500,
                    "transaction_type": "purchase",
                    "reference_id": "r0",
                    "description": "Starter",
                    "balance_after": 500,
                    "created_at": "2026-03-01T12:00:00Z",
                },
            ],
            "total": 2,
        }

    def test_are_in_the_order_of_the_ledger_whatever_the_clocks_say(self, customer, signed_in):
        credit(customer, 1, reference="first", now=NOON + timedelta(seconds=1))
        credit(customer, 2, reference="second", now=NOON)

        shown = signed_in(customer).get(TRANSACTIONS).json()["transactions"]

        assert [row["amount"] for row in shown] == [2, 1]

    @pytest.mark.parametrize(
        ("query", "amounts"),
        [
            ({"limit": 2}, [5, 4]),
            ({"limit": 2, "offset": 2}, [3, 2]),
            ({"limit": 2, "offset": 4}, [1]),
            ({"offset": 5}, []),
            ({"offset": 100_000_000}, []),
            ({}, [5, 4, 3, 2, 1]),
        ],
    )
    def test_can_be_read_in_slices(self, customer, signed_in, query, amounts):
        credit(customer, 1, 2, 3, 4, 5)

        page = signed_in(customer).get(TRANSACTIONS, query).json()

        assert [row["amount"] for row in page["transactions"]] == amounts
        assert page["total"] == 5

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"limit": "-1"}, "limit"),
            ({"limit": "ten"}, "limit"),
            ({"limit": "1\x00"}, "limit"),
            ({"limit": "9" * 5000}, "limit"),
            ({"offset": "-1"}, "offset"),
            ({"offset": "1.5"}, "offset"),
            ({"offset": "99999999999999999999"}, "offset"),
        ],
    )
    def test_bad_slices_are_refused(self, customer, signed_in, query, field):
        response = signed_in(customer).get(TRANSACTIONS, query)

        assert response.status_code == 400
        assert response.json()["code"] == "validation_error"
        assert list(response.json()["fields"]) == [field]

    @pytest.mark.parametrize("count", [1, 20])
    def test_are_a_constant_number_of_statements(
        self, customer, signed_in, django_assert_num_queries, count
    ):
        credit(customer, *[1] * count)
        client = signed_in(customer)

        with django_assert_num_queries(3):
            client.get(TRANSACTIONS)

    def test_need_a_token(self, api):
        assert api.get(TRANSACTIONS).status_code == 401
