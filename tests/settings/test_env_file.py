from __future__ import annotations

import os
import re
import shutil

from tests.settings.conftest import PRODUCTION, PROJECT


class TestEnvFile:
    def test_is_read(self, settings_of, tmp_path):
        (tmp_path / "env").write_text("BILLING_DEFAULT_CURRENCY=EUR\n")

        found = settings_of(
            "development", "BILLING_DEFAULT_CURRENCY", ENV_FILE=str(tmp_path / "env")
        )

        assert found == {"BILLING_DEFAULT_CURRENCY": "EUR"}

    def test_gives_way_to_the_environment(self, settings_of, tmp_path):
        (tmp_path / "env").write_text("BILLING_DEFAULT_CURRENCY=EUR\n")

        found = settings_of(
            "development",
            "BILLING_DEFAULT_CURRENCY",
            ENV_FILE=str(tmp_path / "env"),
            BILLING_DEFAULT_CURRENCY="CHF",
        )

        assert found == {"BILLING_DEFAULT_CURRENCY": "CHF"}

    def test_is_read_where_the_environment_has_an_empty_value(self, settings_of, tmp_path):
        (tmp_path / "env").write_text("BILLING_DEFAULT_CURRENCY=EUR\n")

        found = settings_of(
            "development",
            "BILLING_DEFAULT_CURRENCY",
            ENV_FILE=str(tmp_path / "env"),
            BILLING_DEFAULT_CURRENCY="",
        )

        assert found == {"BILLING_DEFAULT_CURRENCY": "EUR"}

    def test_reaches_the_settings_and_no_program_that_is_started(self, python, tmp_path):
        (tmp_path / "env").write_text("BILLING_DEFAULT_CURRENCY=EUR\n")

        done = python(
            ["-c", "import os, config.settings.development; print(*os.environ)"],
            {"ENV_FILE": str(tmp_path / "env")},
        )

        assert "BILLING_DEFAULT_CURRENCY" not in done.stdout.split()

    def test_does_not_reach_the_tests(self, settings_of, tmp_path):
        (tmp_path / "env").write_text("DATABASE_URL=postgres://me@live/billing\nDEBUG=1\n")

        found = settings_of("test", "DATABASES", "DEBUG", ENV_FILE=str(tmp_path / "env"))

        assert found["DATABASES"]["default"]["NAME"] == "vbwd"
        assert found["DATABASES"]["default"]["HOST"].startswith("/")
        assert found["DEBUG"] is False


class TestExample:
    def test_can_be_copied_as_it_is(self, settings_of, tmp_path):
        shutil.copy(PROJECT / ".env.example", tmp_path / "env")

        found = settings_of(
            "development", "SECRET_KEY", "ALLOWED_HOSTS", ENV_FILE=str(tmp_path / "env")
        )

        assert found["SECRET_KEY"].startswith("development-only")
        assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]

    def test_has_the_defaults_of_production(self, settings_of, tmp_path):
        names = [
            "BILLING_CHECKOUT_DAYS",
            "BILLING_DEFAULT_CURRENCY",
            "BILLING_TIME_ZONE",
            "DATABASES",
            "EMAIL_HOST",
            "EMAIL_PORT",
            "LOGGING",
            "SECURE_HSTS_SECONDS",
            "SECURE_SSL_REDIRECT",
            "SIMPLE_JWT",
        ]

        copied = settings_of(
            "production", *names, **PRODUCTION, ENV_FILE=str(PROJECT / ".env.example")
        )
        without = settings_of("production", *names, **PRODUCTION, ENV_FILE=os.devnull)

        assert copied == without

    def test_lists_every_name_that_the_settings_read(self):
        code = "".join(
            path.read_text() for path in sorted((PROJECT / "config" / "settings").glob("*.py"))
        )
        read = set(re.findall(r'\benv(?:\.\w+)?\(\s*"([A-Z_]+)"', code))
        example = (PROJECT / ".env.example").read_text()

        listed = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))

        # DEBUG is for a moment, not for a file; ENV_FILE is the file's own name.
        assert read - listed == {"DEBUG", "ENV_FILE"}
        assert listed - read == set()
