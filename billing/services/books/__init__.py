"""The books: every rule that must always hold, recomputed from the rows."""

from billing.services.books.check import Check, Result
from billing.services.books.verification import CHECKS, verify

__all__ = ["CHECKS", "Check", "Result", "verify"]
