from __future__ import annotations

import logging

import pytest
import structlog

from tests.api import broken_urls  # noqa: F401 - the address that fails
from tests.factories import StaffFactory


@pytest.fixture
def lines(caplog, settings):
    """The line of each request, as it is logged."""
    settings.LOG_REQUESTS = True
    caplog.set_level(logging.INFO, logger="config.middleware")
    return lambda: [record for record in caplog.records if record.name == "config.middleware"]


class TestRequestId:
    def test_is_made_for_each_request(self, api):
        first, second = (api.get("/api/v1/health").headers["X-Request-ID"] for _ in range(2))

        assert len(first) == len(second) == 32
        assert first != second

    @pytest.mark.parametrize("given", ["abcd1234", "A-b_c.1-2", "0" * 64])
    def test_is_the_callers_where_it_can_be_one(self, api, given):
        response = api.get("/api/v1/health", headers={"X-Request-ID": given})

        assert response.headers["X-Request-ID"] == given

    @pytest.mark.parametrize(
        "given",
        [
            "short",
            "0" * 65,
            "with blank",
            "abcdefgh\n",
            "<script>1",
            '"quoted"',
            "ünïcödes",
            "-abcdefgh",
        ],
    )
    def test_is_not_whatever_a_caller_says(self, api, given):
        response = api.get("/api/v1/health", headers={"X-Request-ID": given})

        assert len(response.headers["X-Request-ID"]) == 32
        assert given not in response.headers["X-Request-ID"]

    @pytest.mark.django_db
    @pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/nothing", "/nothing", "/"])
    def test_is_on_every_answer(self, client, path):
        response = client.get(path, headers={"X-Request-ID": "abcd1234"})

        assert response.headers["X-Request-ID"] == "abcd1234"

    def test_is_on_an_answer_that_failed_and_bound_where_it_is_logged(self, api, settings, caplog):
        settings.ROOT_URLCONF = "tests.api.broken_urls"
        seen = []
        handler = logging.Handler()
        handler.emit = lambda _record: seen.append(structlog.contextvars.get_contextvars())
        logger = logging.getLogger("config.api")
        logger.addHandler(handler)
        api.raise_request_exception = False

        response = api.get("/api/v1/fails", headers={"X-Request-ID": "abcd1234"})

        logger.removeHandler(handler)
        assert response.status_code == 500
        assert response.headers["X-Request-ID"] == "abcd1234"
        assert seen == [{"request_id": "abcd1234"}]


@pytest.mark.django_db
class TestLineOfARequest:
    def test_says_what_was_answered_and_not_what_was_asked_for(self, client, lines):
        client.force_login(
            StaffFactory(is_superuser=True), "django.contrib.auth.backends.ModelBackend"
        )

        client.get("/admin/billing/invoice/?q=ada@example.com")

        (line,) = lines()
        assert (line.method, line.path, line.status) == ("GET", "/admin/billing/invoice/", 200)
        assert line.milliseconds > 0

    def test_is_one_line_whatever_the_address(self, api, lines):
        api.get("/api/v1/a%0Ab")

        (line,) = lines()
        assert line.path == "/api/v1/a%0Ab"

    def test_is_left_out_unless_it_is_wanted(self, api, lines, settings):
        settings.LOG_REQUESTS = False

        api.get("/api/v1/health")

        assert lines() == []
