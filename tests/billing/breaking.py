"""How a rule over the whole database is broken, by SQL that no service would run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """
    :param story: what has gone wrong
    :param example: the name of the id that must be among the examples; "" where it is no id of ours
    """

    rule: str
    story: str
    example: str
    sql: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.story}"


def copied(table: str, name: str, changes: str = "") -> str:
    """The row with this id again, as ``new``."""
    changes = f"UPDATE copied SET {changes};" if changes else ""
    return f"""
        CREATE TEMP TABLE copied AS SELECT * FROM {table} WHERE id = %({name})s;
        UPDATE copied SET id = %(new)s; {changes}
        INSERT INTO {table} SELECT * FROM copied;
        DROP TABLE copied;
    """


def told(event: str, subject: str) -> str:
    return f"""
        INSERT INTO billing_event (id, name, subject_id, payload, created_at)
        VALUES (gen_random_uuid(), '{event}', %({subject})s, '{{}}', now());
    """


def price(columns: str, values: str) -> str:
    return f"""
        INSERT INTO catalog_price (id, created_at, {columns}) VALUES (%(new)s, now(), {values});
    """


def movement(amount: int, kind: str, reference: str) -> str:
    """One more transaction of Ann's, as it should be: she has 880 tokens by 3 transactions."""
    return f"""
        INSERT INTO billing_tokentransaction
               (id, account_id, sequence, amount, balance_after, transaction_type, reference_id,
                description, created_at)
        VALUES (%(new)s, %(ann)s, 4, {amount}, 880 + {amount}, '{kind}', {reference}, '', now());
        UPDATE billing_tokenaccount SET balance = balance + {amount}, last_sequence = 4
         WHERE user_id = %(ann)s;
    """


def line(line_type: str, item: str, invoice: str, user: str) -> str:
    return f"""
        INSERT INTO billing_invoicelineitem
               (id, invoice_id, user_id, position, type, item_id, description, quantity,
                unit_price, amount)
        VALUES (%(new)s, %({invoice})s, %({user})s, 99, '{line_type}', %({item})s, '', 1, 0, 0);
    """


def drop(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {constraint};"


def drop_index(name: str) -> str:
    return f"DROP INDEX {name};"
