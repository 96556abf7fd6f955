"""Invoices, their lines, and their numbers."""

from billing.services.books.check import Check

AMOUNTS = (
    Check(
        "invoice_total_is_sum",
        "An invoice's total is its subtotal and tax",
        "SELECT id, total_amount = subtotal + tax_amount AS holds FROM billing_invoice",
    ),
    Check(
        "invoice_subtotal_is_sum",
        "An invoice's subtotal is the sum of its lines",
        """
        SELECT invoice.id, invoice.subtotal = COALESCE(lines.total, 0) AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT invoice_id, sum(amount) AS total
                       FROM billing_invoicelineitem GROUP BY invoice_id) lines
                 ON lines.invoice_id = invoice.id
        """,
    ),
    Check(
        "invoice_not_negative",
        "No invoice's total or tax is negative",
        "SELECT id, total_amount >= 0 AND tax_amount >= 0 AS holds FROM billing_invoice",
    ),
    Check(
        "invoice_has_currency_places",
        "No invoice's amount has more decimal places than its currency",
        """
        SELECT invoice.id,
               invoice.subtotal = round(invoice.subtotal, known.places)
               AND invoice.tax_amount = round(invoice.tax_amount, known.places)
               AND invoice.total_amount = round(invoice.total_amount, known.places) AS holds
          FROM billing_invoice invoice
          LEFT JOIN unnest(%(currencies)s::text[], %(places)s::int[]) AS known (currency, places)
                 ON known.currency = invoice.currency
        """,
    ),
    Check(
        "invoice_paid_has_moment",
        "Paid and refunded invoices say when they were paid, the others do not",
        """
        SELECT id, (status IN ('paid', 'refunded')) = (paid_at IS NOT NULL) AS holds
          FROM billing_invoice
        """,
    ),
    Check(
        "invoice_cancelled_has_moment",
        "Cancelled invoices say when they were cancelled, the others do not",
        """
        SELECT id, (status = 'cancelled') = (cancelled_at IS NOT NULL) AS holds
          FROM billing_invoice
        """,
    ),
    Check(
        "invoice_subscription_is_buyers",
        "The subscription that an invoice names is the buyer's",
        """
        SELECT invoice.id, subscription.user_id = invoice.user_id AS holds
          FROM billing_invoice invoice
          LEFT JOIN billing_subscription subscription
                 ON subscription.id = invoice.subscription_id
         WHERE invoice.subscription_id IS NOT NULL
        """,
    ),
)

LINES = (
    Check(
        "invoice_has_lines",
        "Every invoice has at least one line",
        """
        SELECT invoice.id, lines.invoice_id IS NOT NULL AS holds
          FROM billing_invoice invoice
          LEFT JOIN (SELECT invoice_id FROM billing_invoicelineitem GROUP BY invoice_id) lines
                 ON lines.invoice_id = invoice.id
        """,
    ),
    Check(
        "line_amount_is_product",
        "A line's amount is unit price × quantity",
        "SELECT id, amount = unit_price * quantity AS holds FROM billing_invoicelineitem",
    ),
    Check(
        "line_has_user_of_invoice",
        "A line's customer is its invoice's",
        """
        SELECT line.id, line.user_id = invoice.user_id AS holds
          FROM billing_invoicelineitem line
          LEFT JOIN billing_invoice invoice ON invoice.id = line.invoice_id
        """,
    ),
    Check(
        "line_has_currency_places",
        "No line's amount has more decimal places than its invoice's currency",
        """
        SELECT line.id,
               line.unit_price = round(line.unit_price, known.places)
               AND line.amount = round(line.amount, known.places) AS holds
          FROM billing_invoicelineitem line
          LEFT JOIN billing_invoice invoice ON invoice.id = line.invoice_id
          LEFT JOIN unnest(%(currencies)s::text[], %(places)s::int[]) AS known (currency, places)
                 ON known.currency = invoice.currency
        """,
    ),
    Check(
        "line_pays_for_item",
        "A line pays for an item of its type, customer, invoice and currency",
        # A renewal and a change are of a subscription and add-ons that another invoice began.
        """
        SELECT line.id,
               item.user_id = invoice.user_id
               AND item.currency = invoice.currency
               AND CASE WHEN line.type = 'subscription' THEN item.id = invoice.subscription_id
                        WHEN invoice.reason <> 'checkout'
                        THEN item.subscription_id = invoice.subscription_id
                        ELSE item.invoice_id = line.invoice_id END AS holds
          FROM billing_invoicelineitem line
          LEFT JOIN billing_invoice invoice ON invoice.id = line.invoice_id
          LEFT JOIN (SELECT 'subscription' AS type, id, user_id, NULL::uuid AS invoice_id,
                            NULL::uuid AS subscription_id, currency
                       FROM billing_subscription
                      UNION ALL
                     SELECT 'token_bundle', id, user_id, invoice_id, NULL, currency
                       FROM billing_tokenbundlepurchase
                      UNION ALL
                     SELECT 'add_on', id, user_id, invoice_id, subscription_id, currency
                       FROM billing_addonsubscription) item
                 ON item.type = line.type AND item.id = line.item_id
         WHERE line.type IN ('subscription', 'token_bundle', 'add_on')
        """,
    ),
    Check(
        "line_of_checkout_has_its_price",
        "A line of a checkout is at a price of what was sold, or free in a trial",
        # What a subscription is may change later: the invoice names the plan that was sold.
        """
        SELECT line.id,
               EXISTS (SELECT FROM catalog_price price
                        WHERE price.currency = invoice.currency AND price.amount = line.unit_price
                          AND CASE line.type
                                   WHEN 'subscription' THEN price.plan_id = invoice.plan_id
                                   WHEN 'add_on' THEN price.add_on_id = add_on.add_on_id
                                   ELSE price.bundle_id = purchase.bundle_id
                                        AND price.amount = purchase.amount END)
               OR line.unit_price = 0 AND own.trial_days > 0 AND NOT own.is_trial_paid AS holds
          FROM billing_invoicelineitem line
          JOIN billing_invoice invoice ON invoice.id = line.invoice_id
          LEFT JOIN billing_subscription own
                 ON own.id = invoice.subscription_id AND line.type <> 'token_bundle'
          LEFT JOIN billing_addonsubscription add_on
                 ON add_on.id = line.item_id AND line.type = 'add_on'
          LEFT JOIN billing_tokenbundlepurchase purchase
                 ON purchase.id = line.item_id AND line.type = 'token_bundle'
         WHERE invoice.reason = 'checkout'
           AND line.type IN ('subscription', 'token_bundle', 'add_on')
           AND COALESCE(add_on.id, purchase.id, own.id) = line.item_id
        """,
    ),
    Check(
        "line_of_fee_is_of_item",
        "A setup fee is of something on its own invoice",
        """
        SELECT fee.id, line.id IS NOT NULL AND fee.amount > 0 AS holds
          FROM billing_invoicelineitem fee
          LEFT JOIN billing_invoicelineitem line
                 ON line.invoice_id = fee.invoice_id AND line.item_id = fee.item_id
                    AND line.type IN ('subscription', 'add_on')
         WHERE fee.type = 'setup_fee'
        """,
    ),
    Check(
        "line_of_credit_was_used",
        "A credit on an invoice is what was taken from the customer's credit account for it",
        """
        SELECT line.id,
               line.amount < 0 AND line.item_id = line.invoice_id
               AND entry.amount = line.amount AS holds
          FROM billing_invoicelineitem line
          LEFT JOIN billing_creditentry entry
                 ON entry.reference = line.invoice_id AND entry.type = 'used'
         WHERE line.type = 'credit'
        """,
    ),
)

NUMBERS = (
    Check(
        "invoice_number_is_well_formed",
        "An invoice number is INV-YYYYMMDD-SS-NNNNNN",
        """
        SELECT id, number ~ '^INV-[0-9]{8}-([0-9]{2}|[1-9][0-9]{2,8})-([0-9]{6}|[1-9][0-9]{6,16})$'
                   AS holds
          FROM billing_invoice
        """,
    ),
    Check(
        "invoice_number_once",
        "No invoice number is used twice",
        "SELECT number AS id, count(*) = 1 AS holds FROM billing_invoice GROUP BY number",
    ),
    Check(
        "invoice_has_series",
        "Every invoice number is of a series that there is",
        """
        SELECT used.day || '-' || used.series AS id, series.id IS NOT NULL AS holds
          FROM (SELECT split_part(number, '-', 2) AS day, split_part(number, '-', 3) AS series
                  FROM billing_invoice WHERE number ~ '^INV-[0-9]{8}-[0-9]{1,9}-[0-9]{1,17}$'
                 GROUP BY 1, 2) used
          LEFT JOIN billing_invoiceseries series
                 ON to_char(series.day, 'YYYYMMDD') = used.day
                    AND series.series = used.series::bigint
        """,
    ),
    Check(
        "series_has_no_gap",
        "A series' numbers are exactly 1 to its last one",
        """
        SELECT to_char(series.day, 'YYYYMMDD') || '-' || series.series AS id,
               COALESCE(used.count, 0) = series.last_number
               AND COALESCE(used.first, 1) = 1
               AND COALESCE(used.last, 0) = series.last_number AS holds
          FROM billing_invoiceseries series
          LEFT JOIN (SELECT split_part(number, '-', 2) AS day,
                            split_part(number, '-', 3)::bigint AS series, count(*),
                            min(split_part(number, '-', 4)::bigint) AS first,
                            max(split_part(number, '-', 4)::bigint) AS last
                       FROM (SELECT DISTINCT number FROM billing_invoice
                              WHERE number ~ '^INV-[0-9]{8}-[0-9]{1,9}-[0-9]{1,17}$') numbers
                      GROUP BY 1, 2) used
                 ON used.day = to_char(series.day, 'YYYYMMDD') AND used.series = series.series
        """,
    ),
    Check(
        "series_of_day_has_no_gap",
        "The series of a day are 1 to as many as there are",
        """
        SELECT day AS id,
               min(series) = 1 AND max(series) = count(*) AND count(DISTINCT series) = count(*)
                   AS holds
          FROM billing_invoiceseries
         GROUP BY day
        """,
    ),
)

CHECKS = AMOUNTS + LINES + NUMBERS
