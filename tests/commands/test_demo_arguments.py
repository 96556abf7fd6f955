from __future__ import annotations

import socket

import pytest


class TestPort:
    @pytest.mark.parametrize("text", ["eighty", "-1", "0", "65536", "80.5", "²", "٣", " ", "80 "])
    def test_that_is_none_is_refused_in_a_sentence(self, command, text):
        done = command("demo", PORT=text)

        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == f"The port must be a number from 1 to 65535, and is {text!r}.\n"

    def test_of_the_argument_goes_before_the_environment(self, command):
        done = command("demo", "--port=none", PORT="0")

        assert done.stderr == "The port must be a number from 1 to 65535, and is 'none'.\n"

    def test_that_is_taken_is_told_before_anything_is_done(self, command):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            done = command("demo", PORT=str(port))

        free = port + 1 if port < 65535 else 8000
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == (
            f"Port {port} cannot be used (Address already in use): choose another with "
            f"`PORT={free} bin/demo`.\n"
        )


class TestReset:
    def test_is_not_for_a_database_of_somebody_elses(self, command):
        done = command("demo", "--reset", DATABASE_URL="postgres://me@elsewhere/billing")

        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr == (
            "--reset forgets the embedded database only, and DATABASE_URL names another: "
            "unset it, or empty that database yourself.\n"
        )
