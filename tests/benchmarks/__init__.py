"""What the product costs, measured: ``python -m tests.benchmarks checkout``."""
