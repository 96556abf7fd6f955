from __future__ import annotations

import socket


class TestDatabase:
    def test_is_embedded_without_database_url(self, settings_of):
        found = settings_of("development", "DATABASES")["DATABASES"]["default"]

        assert found["NAME"] == "vbwd"
        assert "starting_connection" in found["OPTIONS"]["connection_factory"]
        assert found["OPTIONS"]["connect_timeout"] == 5

    def test_is_the_one_of_database_url(self, python):
        asked = (
            "import sys; from config.settings.development import DATABASES; "
            "print(DATABASES['default']['HOST'], 'config.embedded_postgres' in sys.modules)"
        )

        done = python(["-c", asked], {"DATABASE_URL": "postgres://me@elsewhere/billing"})

        assert done.stdout == "elsewhere False\n", done.stderr

    def test_that_does_not_answer_is_given_up(self, python):
        asked = (
            "import django; django.setup()\n"
            "from django.db import OperationalError, connection\n"
            "try:\n    connection.ensure_connection()\n"
            "except OperationalError:\n    print('given up')"
        )

        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
            port = silent.getsockname()[1]
            done = python(
                ["-c", asked],
                {
                    "DJANGO_SETTINGS_MODULE": "config.settings.development",
                    "DATABASE_URL": f"postgres://me@127.0.0.1:{port}/billing",
                    "DATABASE_CONNECT_TIMEOUT": "2",
                },
            )

        assert done.stdout == "given up\n", done.stderr


class TestDevelopment:
    def test_works_with_nothing_set(self, python):
        done = python(["manage.py", "check", "--fail-level", "WARNING"], {})

        assert done.returncode == 0, done.stderr
        assert done.stdout == "System check identified no issues (0 silenced).\n"
