from __future__ import annotations

import pytest

from tests import log_secrets


class TestFind:
    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            ("mail to ada.lovelace@example.com failed", "e-mail"),
            ("Key (email)=(ada@example.com) already exists.", "e-mail"),
            ("sent eyJhbGciOiJIUzI1NiIs.eyJzdWIiOiIx.abc", "JSON Web Token"),
            ("header Bearer abcdefghijkl", "credentials"),
            ("with whsec_dGVzdA==", "webhook secret"),
            ("stored argon2$argon2id$v=19$m=1,t=2", "password hash"),
            ("postgres://billing:hunter2@localhost/billing", "address with password"),
            ('{"password": "hunter22"}', "named secret"),
            (r'{"event": "{\"refresh_token\": \"abcdef\"}"}', "named secret"),
            ("csrfmiddlewaretoken=abcdef", "named secret"),
            ("paid with 4242424242424242.", "card number"),
            ("paid with 4242 4242 4242 4242", "card number"),
            ("/paid/4242%204242%204242%204242", "card number"),
            ("paid with 3782-822463-10005", "card number"),
        ],
    )
    def test_finds(self, line, kind):
        found = log_secrets.find(f"harmless\n{line}")

        assert kind in {finding.kind for finding in found}
        assert {finding.line for finding in found} == {2}

    @pytest.mark.parametrize(
        "line",
        [
            "mail to a…@example.com failed",
            '{"password": "[hidden]", "token_amount": 500}',
            "Authorization: [hidden]",
            "Invoice INV-20261123-01-000001 of 01a2068c-b400-76de-a354-501a17e12029 is paid",
            "at 2026-11-23T03:56:54.171000Z, sandbox-01a20871-0bf4-7027-b780-2fedabef9bb4",
            "4242424242424243 is no card, and 1700000000000 is a moment",
            "postgres://billing:[hidden]@localhost/billing",
            "The session token has expired.",
        ],
    )
    def test_leaves_the_rest(self, line):
        assert log_secrets.find(line) == []

    def test_finds_secrets_that_are_known(self):
        (found,) = log_secrets.find("it was correct horse battery", known=["correct horse", ""])

        assert found == log_secrets.Finding("known secret", "correct horse", 1)
