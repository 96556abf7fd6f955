"""Renewals, retries and ends: everything that happens by itself; see docs/adr/0012."""
