from __future__ import annotations

import pytest

from tests.settings.conftest import PRODUCTION


class TestRefusal:
    def test_names_all_that_is_missing_in_one_sentence(self, refusal):
        sentence = refusal("production")

        assert sentence == (
            "Production needs SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL in the environment or in "
            ".env: see .env.example."
        )

    @pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
    def test_takes_what_is_empty_for_missing(self, refusal, name):
        sentence = refusal("production", **{**PRODUCTION, name: ""})

        assert sentence == (
            f"Production needs {name} in the environment or in .env: see .env.example."
        )

    def test_of_a_short_secret_does_not_show_it(self, refusal):
        sentence = refusal("production", **{**PRODUCTION, "SECRET_KEY": "short"})

        assert sentence == "SECRET_KEY must have at least 50 characters: see .env.example."

    def test_of_every_host(self, refusal):
        sentence = refusal("production", **{**PRODUCTION, "ALLOWED_HOSTS": "a.example, *"})

        assert sentence == "ALLOWED_HOSTS must name the hosts; '*' lets every host name in."

    def test_of_the_sandbox_provider(self, refusal):
        sentence = refusal("production", **PRODUCTION, BILLING_PAYMENT_PROVIDER="sandbox")

        assert sentence == "The sandbox provider takes every payment: never in production."

    @pytest.mark.parametrize("url", ["mysql://me@host/name", "sqlite:///file", "billing"])
    def test_of_another_database_than_postgresql(self, refusal, url):
        sentence = refusal("production", **{**PRODUCTION, "DATABASE_URL": url})

        assert sentence == (
            "DATABASE_URL must be a PostgreSQL address: postgres://user:password@host:5432/name."
        )

    def test_of_an_unknown_time_zone(self, refusal):
        sentence = refusal("production", **PRODUCTION, BILLING_TIME_ZONE="Berlin")

        assert sentence == ("BILLING_TIME_ZONE must be a name like Europe/Berlin, and is 'Berlin'.")

    def test_of_a_file_that_is_not_there(self, refusal):
        sentence = refusal("production", **PRODUCTION, ENV_FILE="/nowhere/.env")

        assert sentence == "ENV_FILE names /nowhere/.env, and there is no such file."


class TestProduction:
    def test_passes_djangos_own_check_for_deployment(self, python):
        done = python(
            ["manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            {"DJANGO_SETTINGS_MODULE": "config.settings.production", **PRODUCTION},
        )

        assert done.returncode == 0, done.stderr
        assert done.stdout == "System check identified no issues (0 silenced).\n"

    def test_never_debugs(self, settings_of):
        found = settings_of("production", "DEBUG", **PRODUCTION, DEBUG="1")

        assert found == {"DEBUG": False}

    def test_has_no_payment_provider_of_its_own(self, settings_of):
        found = settings_of("production", "BILLING_PAYMENT_PROVIDER", **PRODUCTION)

        assert found == {"BILLING_PAYMENT_PROVIDER": ""}

    def test_sends_mail_through_the_server_that_is_named(self, settings_of):
        found = settings_of(
            "production",
            "EMAIL_BACKEND",
            "EMAIL_HOST",
            "EMAIL_PORT",
            "EMAIL_USE_TLS",
            "EMAIL_TIMEOUT",
            **PRODUCTION,
            EMAIL_URL="smtp+tls://me:secret@mail.example.com:587",
        )

        assert found == {
            "EMAIL_BACKEND": "config.smtp.EmailBackend",
            "EMAIL_HOST": "mail.example.com",
            "EMAIL_PORT": 587,
            "EMAIL_USE_TLS": True,
            "EMAIL_TIMEOUT": 10,
        }

    def test_sends_mail_as_it_is_told(self, settings_of):
        found = settings_of("production", "EMAIL_BACKEND", **PRODUCTION, EMAIL_URL="consolemail://")

        assert found == {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}

    def test_trusts_forms_of_its_own_hosts_only(self, settings_of):
        environment = {**PRODUCTION, "ALLOWED_HOSTS": "billing.example.com, .example.org"}

        found = settings_of("production", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", **environment)

        assert found == {
            "ALLOWED_HOSTS": ["billing.example.com", ".example.org"],
            "CSRF_TRUSTED_ORIGINS": [
                "https://billing.example.com",
                "https://example.org",
                "https://*.example.org",
            ],
        }

    def test_gives_up_a_dead_database_after_seconds(self, settings_of):
        found = settings_of("production", "DATABASES", **PRODUCTION)["DATABASES"]["default"]

        assert found["HOST"] == "database.example.com"
        assert found["PORT"] == 5433
        assert found["OPTIONS"]["connect_timeout"] == 5
        assert found["CONN_HEALTH_CHECKS"] is True

    def test_takes_the_options_of_the_database_from_its_address(self, settings_of):
        url = (
            "postgres://billing@host/billing?sslmode=require&connect_timeout=9&options=-c%20jit=off"
        )

        found = settings_of("production", "DATABASES", **{**PRODUCTION, "DATABASE_URL": url})

        options = found["DATABASES"]["default"]["OPTIONS"]
        assert options == {
            "connect_timeout": 9,
            "sslmode": "require",
            "options": "-c jit=off -c plan_cache_mode=force_generic_plan",
        }

    def test_keeps_nothing_in_a_connection_behind_a_pooler(self, settings_of):
        found = settings_of("production", "DATABASES", **PRODUCTION, DATABASE_POOLED="true")

        assert found["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is True
        assert found["DATABASES"]["default"]["OPTIONS"] == {"connect_timeout": 5}


class TestTimeOutsOfTheDatabase:
    def test_of_a_server_are_set_for_each_connection(self, settings_of):
        read = settings_of("production", "DATABASES", **PRODUCTION, WEB_SERVER="true")

        options = read["DATABASES"]["default"]["OPTIONS"]
        assert options["connect_timeout"] == 5
        assert options["options"].split(" -c ")[1:] == [
            "lock_timeout=10000",
            "statement_timeout=25000",
            "idle_in_transaction_session_timeout=60000",
        ]

    def test_of_commands_are_none_but_that_of_connecting(self, settings_of):
        read = settings_of("production", "DATABASES", **PRODUCTION)

        options = read["DATABASES"]["default"]["OPTIONS"]
        assert options["connect_timeout"] == 5
        assert "timeout" not in options["options"]
