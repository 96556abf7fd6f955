"""How staff come into the admin: a password, a lock after failures, and a second factor."""
