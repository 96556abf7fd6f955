"""How the business stands, computed in SQL. Every figure is defined in docs/billing-rules.md."""
