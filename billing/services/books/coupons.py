"""Coupons, who has redeemed them, and what they took off."""

from billing.services.books.check import Check

CHECKS = (
    Check(
        "coupon_counts_redemptions",
        "A coupon knows how often it was redeemed, and it was no more often than it may be",
        """
        SELECT coupon.id,
               coupon.redeemed = COALESCE(redemptions.count, 0)
               AND (coupon.max_redemptions IS NULL
                    OR coupon.redeemed <= coupon.max_redemptions) AS holds
          FROM billing_coupon coupon
          LEFT JOIN (SELECT coupon_id, count(*) FROM billing_couponredemption
                      WHERE status <> 'released' GROUP BY coupon_id) redemptions
                 ON redemptions.coupon_id = coupon.id
        """,
    ),
    Check(
        "redemption_agrees_with_checkout",
        "A coupon that was redeemed in a checkout is held, good or released as that is",
        """
        SELECT redemption.id,
               invoice.user_id = redemption.user_id
               AND CASE WHEN invoice.status IN ('pending', 'failed')
                        THEN redemption.status = 'held'
                        WHEN invoice.status = 'cancelled' THEN redemption.status = 'released'
                        ELSE redemption.status IN ('active', 'used_up') END AS holds
          FROM billing_couponredemption redemption
          JOIN billing_invoice invoice ON invoice.id = redemption.invoice_id
        """,
    ),
    Check(
        "redemption_has_periods_left",
        "A coupon that is good has a period left, or is for ever",
        """
        SELECT id, periods_left IS NULL OR periods_left > 0 AS holds
          FROM billing_couponredemption WHERE status = 'active'
        """,
    ),
    Check(
        "discount_lessens_a_line",
        "A discount lessens a line of its invoice, and by no more than that comes to",
        # On the invoice of a change the same item has what is given back, too.
        """
        SELECT discount.id, discount.amount < 0 AND line.amount + discount.amount >= 0 AS holds
          FROM billing_invoicelineitem discount
          LEFT JOIN billing_invoicelineitem line
                 ON line.invoice_id = discount.invoice_id AND line.item_id = discount.item_id
                    AND line.type IN ('subscription', 'add_on') AND line.amount > 0
         WHERE discount.type = 'discount'
        """,
    ),
    Check(
        "discount_has_redemption",
        "An invoice with a discount is of a subscription that a coupon was redeemed for",
        """
        SELECT discount.id, redeemed.subscription_id IS NOT NULL AS holds
          FROM billing_invoicelineitem discount
          JOIN billing_invoice invoice ON invoice.id = discount.invoice_id
          LEFT JOIN (SELECT DISTINCT subscription_id FROM billing_couponredemption) redeemed
                 ON redeemed.subscription_id = invoice.subscription_id
         WHERE discount.type = 'discount'
        """,
    ),
)
