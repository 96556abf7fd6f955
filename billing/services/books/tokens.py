"""Balances and their ledger."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "token_balance_is_sum",
        "A balance is the sum of its transactions and the last one's balance",
        """
        SELECT account.user_id AS id,
               account.balance = COALESCE(ledger.total, 0)
               AND account.balance = COALESCE(latest.balance_after, 0) AS holds
          FROM billing_tokenaccount account
          LEFT JOIN (SELECT account_id, sum(amount) AS total, max(sequence) AS last
                       FROM billing_tokentransaction GROUP BY account_id) ledger
                 ON ledger.account_id = account.user_id
          LEFT JOIN billing_tokentransaction latest
                 ON latest.account_id = account.user_id AND latest.sequence = ledger.last
        """,
    ),
    Check(
        "token_balance_runs",
        "Each transaction's balance is the one before and its amount",
        """
        SELECT id, balance_after = amount + lag(balance_after, 1, 0::bigint) OVER ledger AS holds
          FROM billing_tokentransaction
        WINDOW ledger AS (PARTITION BY account_id ORDER BY sequence)
        """,
    ),
    Check(
        "token_sequence_has_no_gap",
        "An account's transactions are numbered 1, 2, 3…",
        """
        SELECT id, sequence = row_number() OVER ledger AS holds
          FROM billing_tokentransaction
        WINDOW ledger AS (PARTITION BY account_id ORDER BY sequence)
        """,
    ),
    Check(
        "token_account_counts",
        "An account knows how many transactions it has",
        """
        SELECT account.user_id AS id, account.last_sequence = COALESCE(ledger.count, 0) AS holds
          FROM billing_tokenaccount account
          LEFT JOIN (SELECT account_id, count(*) FROM billing_tokentransaction
                      GROUP BY account_id) ledger
                 ON ledger.account_id = account.user_id
        """,
    ),
    Check(
        "token_balance_not_negative",
        "No balance is or ever was below zero",
        """
        SELECT user_id AS id, balance >= 0 AS holds FROM billing_tokenaccount
         UNION ALL
        SELECT id, balance_after >= 0 FROM billing_tokentransaction
        """,
    ),
    Check(
        "purchase_is_credited_once",
        "A purchase that was paid is one transaction of its tokens",
        """
        SELECT purchase.id,
               credit.count = 1 AND credit.amount = purchase.token_amount AS holds
          FROM billing_tokenbundlepurchase purchase
          LEFT JOIN (SELECT reference_id, count(*), sum(amount) AS amount
                       FROM billing_tokentransaction WHERE transaction_type = 'purchase'
                      GROUP BY reference_id) credit
                 ON credit.reference_id = purchase.id::text
         WHERE purchase.status IN ('completed', 'refunded')
        """,
    ),
    Check(
        "credit_has_purchase",
        "Bought tokens were credited to the customer of a purchase that was paid",
        """
        SELECT credit.id,
               purchase.status IN ('completed', 'refunded')
               AND purchase.user_id = credit.account_id AS holds
          FROM billing_tokentransaction credit
          LEFT JOIN billing_tokenbundlepurchase purchase
                 ON purchase.id::text = credit.reference_id
         WHERE credit.transaction_type = 'purchase'
        """,
    ),
    Check(
        "token_refund_has_purchase",
        "Tokens go back for the customer's refunded purchase: as many as were bought or are left",
        """
        SELECT refund.id,
               purchase.status = 'refunded'
               AND purchase.user_id = refund.account_id
               AND refund.amount BETWEEN -purchase.token_amount AND -1
               AND (refund.amount = -purchase.token_amount OR refund.balance_after = 0) AS holds
          FROM billing_tokentransaction refund
          LEFT JOIN billing_tokenbundlepurchase purchase
                 ON purchase.id::text = refund.reference_id
         WHERE refund.transaction_type = 'refund'
        """,
    ),
    Check(
        "token_refund_is_told",
        "The event of a refund tells how many bought tokens went back, and how many were used",
        """
        SELECT invoice.id,
               told.taken = COALESCE(bought.taken, 0)
               AND told.taken + told.used = COALESCE(bought.tokens, 0) AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT subject_id,
                            sum((payload->'tokens_taken_back')::numeric) AS taken,
                            sum((payload->'tokens_used_before')::numeric) AS used
                       FROM billing_event
                      WHERE name = 'invoice.refunded'
                        AND jsonb_typeof(payload->'tokens_taken_back') = 'number'
                        AND jsonb_typeof(payload->'tokens_used_before') = 'number'
                      GROUP BY subject_id) told
                 ON told.subject_id = invoice.id
          LEFT JOIN (SELECT purchase.invoice_id, sum(purchase.token_amount) AS tokens,
                            -sum(refund.amount) AS taken
                       FROM billing_tokenbundlepurchase purchase
                       LEFT JOIN billing_tokentransaction refund
                              ON refund.reference_id = purchase.id::text
                                 AND refund.transaction_type = 'refund'
                      GROUP BY purchase.invoice_id) bought
                 ON bought.invoice_id = invoice.id
         WHERE invoice.status = 'refunded'
        """,
    ),
)
