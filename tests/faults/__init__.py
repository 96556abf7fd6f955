"""Faults under load: ``python -m tests.faults [--seed N] [--minutes M] [--pgbouncer]``."""
