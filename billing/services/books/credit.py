"""What is owed to customers, and its ledger."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "credit_balance_is_sum",
        "What is owed to a customer is the sum of the entries, and the last one's balance",
        """
        SELECT account.id,
               account.balance = COALESCE(ledger.total, 0)
               AND account.balance = COALESCE(latest.balance_after, 0)
               AND account.balance >= 0 AS holds
          FROM billing_creditaccount account
          LEFT JOIN (SELECT account_id, sum(amount) AS total, max(sequence) AS last
                       FROM billing_creditentry GROUP BY account_id) ledger
                 ON ledger.account_id = account.id
          LEFT JOIN billing_creditentry latest
                 ON latest.account_id = account.id AND latest.sequence = ledger.last
        """,
    ),
    Check(
        "credit_balance_runs",
        "Each entry's balance is the one before and its amount, and none is below zero",
        """
        SELECT id,
               balance_after = amount + lag(balance_after, 1, 0::numeric) OVER ledger
               AND balance_after >= 0 AS holds
          FROM billing_creditentry
        WINDOW ledger AS (PARTITION BY account_id ORDER BY sequence)
        """,
    ),
    Check(
        "credit_sequence_has_no_gap",
        "An account's entries are numbered 1, 2, 3…, and it knows how many there are",
        """
        SELECT entry.id,
               entry.sequence = row_number() OVER (PARTITION BY account_id ORDER BY sequence)
               AND account.last_sequence = count(*) OVER (PARTITION BY account_id) AS holds
          FROM billing_creditentry entry
          LEFT JOIN billing_creditaccount account ON account.id = entry.account_id
        """,
    ),
    Check(
        "credit_used_is_on_invoice",
        "What was used of a customer's credit is a line of an invoice of theirs",
        """
        SELECT entry.id,
               line.amount = entry.amount
               AND (account.user_id, account.currency) = (invoice.user_id, invoice.currency)
               AS holds
          FROM billing_creditentry entry
          JOIN billing_creditaccount account ON account.id = entry.account_id
          LEFT JOIN billing_invoice invoice ON invoice.id = entry.reference
          LEFT JOIN billing_invoicelineitem line
                 ON line.invoice_id = invoice.id AND line.type = 'credit'
         WHERE entry.type = 'used'
        """,
    ),
    Check(
        "credit_comes_back",
        "Credit on an invoice that was cancelled or refunded came back, whole and once; else not",
        """
        SELECT line.id,
               COALESCE(back.total, 0)
               = CASE invoice.status WHEN 'cancelled' THEN -line.amount
                                     WHEN 'refunded' THEN -line.amount ELSE 0 END
               AND (back.type IS NULL
                    OR back.type = CASE invoice.status WHEN 'refunded' THEN 'refunded'
                                                       ELSE 'returned' END) AS holds
          FROM billing_invoicelineitem line
          JOIN billing_invoice invoice ON invoice.id = line.invoice_id
          LEFT JOIN (SELECT reference, sum(amount) AS total, max(type) AS type
                       FROM billing_creditentry WHERE type IN ('returned', 'refunded')
                      GROUP BY reference) back
                 ON back.reference = invoice.id
         WHERE line.type = 'credit'
        """,
    ),
)
