ALTER TABLE billing_payment DROP CONSTRAINT payment_reference_once;
