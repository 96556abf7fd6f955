"""What lists and pages show in words."""

from __future__ import annotations

import pytest

from billing.admin.columns import channel


class TestChannel:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("bank_transfer", "Bank transfer"),
            ("manual", "By hand"),
            ("none", "Nothing was owed"),
            ("staff", "By staff"),
            ("sepa_debit", "Sepa debit"),
            ("stripe", "Stripe"),
            ("", "—"),
        ],
    )
    def test_is_what_people_call_it(self, name, words):
        assert channel(name) == words
