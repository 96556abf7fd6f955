"""The patches of the mutation check fit the project as it is."""

import re
import subprocess

import pytest

from tests.faults.mutations.__main__ import PROJECT, patches


class TestPatches:
    def test_are_the_five(self):
        assert [patch.stem for patch in patches()] == [
            "idempotency-key",
            "invoice-lock",
            "outbox-transaction",
            "payment-reference",
            "token-balance",
        ]

    @pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
    def test_still_applies(self, patch):
        done = subprocess.run(
            ["git", "apply", "--check", patch], cwd=PROJECT, capture_output=True, text=True
        )

        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
    def test_says_in_its_first_line_what_finds_it(self, patch):
        assert re.match(r"Found by: \w+", patch.read_text())
