"""The harness on trial: ``python -m tests.faults.mutations [--only NAME] [--minutes M]``."""
