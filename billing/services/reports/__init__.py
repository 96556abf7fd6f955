"""What a month came to, read in SQL from the rows. See docs/billing-rules.md, "The month"."""
