"""How often something may be tried."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from accounts.models import RateLimit
from accounts.services import limits
from accounts.services.limits import Tried
from config.settings.base import env
from tests.factories import UserFactory
from tests.threads import at_once

MINUTES = timedelta(minutes=15)
PASSWORD = "a long password"


@pytest.fixture
def limit(settings):
    """``limit(log_in_account=3)``: three in 15 minutes; of anything else, as many as you like."""

    def set_to(**most):
        settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS) | {
            scope: (count, MINUTES) for scope, count in most.items()
        }

    return set_to


def log_in(api, email, password="wrong", **headers):
    return api.post("/api/v1/auth/login", {"email": email, "password": password}, **headers)


@pytest.mark.django_db
class TestLogIn:
    def test_to_one_account_fails_so_often_and_no_more(self, api, limit):
        limit(log_in_account=3)
        UserFactory(email="anna@example.com")

        answers = [log_in(api, "anna@example.com") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        body = answers[-1].json()
        assert (body["code"], body["success"]) == ("too_many_requests", False)
        assert 890 <= int(answers[-1]["Retry-After"]) <= 900

    def test_with_the_right_password_is_refused_then_too(self, api, limit):
        limit(log_in_account=1)
        UserFactory(email="anna@example.com")
        log_in(api, "anna@example.com")

        assert log_in(api, "anna@example.com", PASSWORD).status_code == 429

    def test_to_an_account_that_is_none_is_limited_alike(self, api, limit):
        limit(log_in_account=1)

        assert [log_in(api, "nobody@example.com").status_code for _ in range(2)] == [401, 429]

    def test_is_counted_whatever_the_spelling_of_the_email(self, api, limit):
        limit(log_in_account=1)
        log_in(api, "anna@example.com")

        assert log_in(api, "ANNA@Example.com").status_code == 429

    def test_of_other_accounts_goes_on(self, api, limit):
        limit(log_in_account=1)
        log_in(api, "anna@example.com")

        assert log_in(api, "ben@example.com").status_code == 401

    def test_that_succeeds_does_not_count(self, api, limit):
        """A busy office behind one address."""
        limit(log_in_account=2, log_in_address=2)
        UserFactory(email="anna@example.com")

        answers = [log_in(api, "anna@example.com", PASSWORD) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {200}

    def test_from_one_address_fails_so_often_and_no_more(self, api, limit):
        limit(log_in_address=2)

        answers = [log_in(api, f"{name}@example.com") for name in "abc"]

        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert log_in(api, "d@example.com", REMOTE_ADDR="192.0.2.7").status_code == 401

    def test_takes_no_address_that_the_client_wrote(self, api, limit):
        limit(log_in_address=1)

        answers = [
            log_in(api, "a@example.com", HTTP_X_FORWARDED_FOR=f"192.0.2.{n}") for n in (1, 2)
        ]

        assert [answer.status_code for answer in answers] == [401, 429]

    def test_takes_the_address_that_the_own_proxy_saw(self, api, limit, settings):
        limit(log_in_address=1)
        settings.TRUSTED_PROXIES = 1

        seen = [f"198.51.100.9, 192.0.2.{n}" for n in (1, 2, 2)]
        answers = [log_in(api, "a@example.com", HTTP_X_FORWARDED_FOR=each) for each in seen]

        assert [answer.status_code for answer in answers] == [401, 401, 429]


@pytest.mark.django_db
class TestOthers:
    def test_registering_is_limited_by_address(self, api, limit):
        limit(register=2)

        answers = [
            api.post(
                "/api/v1/auth/register",
                {"email": f"{name}@example.com", "password": "a long enough passphrase"},
            )
            for name in "abc"
        ]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].json()["success"] is False

    def test_forgetting_a_password_is_limited_by_address(self, api, limit):
        limit(forgot_password=1)
        UserFactory(email="anna@example.com")

        answers = [
            api.post("/api/v1/auth/forgot-password", {"email": "anna@example.com"})
            for _ in range(2)
        ]

        assert [answer.status_code for answer in answers] == [200, 429]

    def test_wrong_webhooks_are_limited_and_right_ones_are_not(self, webhook, limit):
        limit(webhook=1)
        notice = {"invoice_id": "x", "payment_reference": "p", "amount": "1.00", "currency": "USD"}

        wrong = [webhook(notice, secret="whsec_d3Jvbmc=").status_code for _ in range(2)]

        assert wrong == [401, 429]
        assert webhook(notice).status_code not in (401, 429)


@pytest.mark.django_db
class TestCount:
    tried = Tried("register", "192.0.2.1")

    def test_begins_anew_when_the_window_is_over(self, limit):
        limit(register=1)
        now = timezone.now()
        limits.count(self.tried, now=now)

        with pytest.raises(limits.TooManyRequests) as refusal:
            limits.count(self.tried, now=now + MINUTES - timedelta(seconds=1))
        assert refusal.value.context == {"retry_after": 1}

        limits.count(self.tried, now=now + MINUTES)

    def test_keeps_no_email_and_no_address(self, limit):
        limit(register=1)
        limits.count(self.tried, now=timezone.now())

        assert "192.0.2.1" not in RateLimit.objects.get().subject

    def test_forgets_what_counts_no_more(self, limit):
        limit(register=1)
        now = timezone.now()
        limits.count(self.tried, now=now - timedelta(days=2))
        limits.count(Tried("register", "192.0.2.2"), now=now)

        assert RateLimit.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_of_eight_at_once_as_many_get_through_as_may(self, limit):
        limit(register=3)
        now = timezone.now()

        def count(_number):
            try:
                limits.count(Tried("register", "192.0.2.1"), now=now)
            except limits.TooManyRequests:
                return "refused"
            return "counted"

        assert sorted(at_once(8, count)) == ["counted"] * 3 + ["refused"] * 5


class TestSetting:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("20/15m", (20, timedelta(minutes=15))),
            ("1/1s", (1, timedelta(seconds=1))),
            ("5/24h", (5, timedelta(days=1))),
            ("none", None),
        ],
    )
    def test_says_how_often_in_how_long(self, text, found):
        assert env.rate("LIMIT_OF_A_TEST", default=text) == found

    @pytest.mark.parametrize("text", ["20", "0/1m", "20/0m", "20/2d", "20/25h", "many/1m", ""])
    def test_is_refused_where_it_says_nothing(self, text):
        with pytest.raises(ImproperlyConfigured, match="must be like 20/15m"):
            env.rate("LIMIT_OF_A_TEST", default=text)
