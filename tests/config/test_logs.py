from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from config import logs
from tests import log_secrets

logger = logging.getLogger("tests.logs")


@pytest.fixture
def written() -> Iterator[Callable[[str], io.StringIO]]:
    """``written("json")``: what this module's logger writes from now on."""
    stream = io.StringIO()

    def begin(form: str) -> io.StringIO:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logs.formatter(form=form))
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel("INFO")
        return stream

    yield begin
    logger.handlers, logger.propagate = [], True


class TestJson:
    def test_is_an_object_a_line(self, written):
        stream = written("json")

        with structlog.contextvars.bound_contextvars(request_id="abc"):
            logger.warning("Two lines\nof %s", "text")

        (line,) = stream.getvalue().splitlines()
        said = json.loads(line)
        assert said.pop("timestamp").endswith("Z")
        assert said == {
            "event": "Two lines\nof text",
            "level": "warning",
            "logger": "tests.logs",
            "request_id": "abc",
        }

    def test_has_fields_that_are_known_and_no_others(self, written):
        stream = written("json")

        logger.info("request", extra={"status": 200, "request": "<WSGIRequest: GET '/?q=x'>"})

        said = json.loads(stream.getvalue())
        assert said["status"] == 200
        assert "request" not in said

    def test_has_exceptions_in_one_line_without_secrets(self, written):
        stream = written("json")

        try:
            raise ValueError("Key (email)=(ada@example.com) exists, password=hunter22")
        except ValueError:
            logger.exception("It failed for %s", "ada@example.com")

        (line,) = stream.getvalue().splitlines()
        said = json.loads(line)
        assert said["event"] == "It failed for a…@example.com"
        assert "ValueError: Key (email)=(a…@example.com) exists" in said["exception"]
        assert log_secrets.find(line, known=["hunter22"]) == []


class TestLines:
    def test_are_for_people(self, written):
        stream = written("lines")

        with structlog.contextvars.bound_contextvars(request_id="abc"):
            logger.warning("Paid by %s", "ada@example.com")

        line = stream.getvalue()
        assert "[warning] Paid by a…@example.com" in line
        assert "request_id=abc" in line
        assert "\x1b" not in line

    def test_have_exceptions_without_secrets(self, written):
        stream = written("lines")

        try:
            raise ValueError("password=hunter22")
        except ValueError:
            logger.error("It failed", exc_info=sys.exc_info())

        assert "ValueError: password=[hidden]" in stream.getvalue()
        assert log_secrets.find(stream.getvalue(), known=["hunter22"]) == []
