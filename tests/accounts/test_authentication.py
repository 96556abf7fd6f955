from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory

from accounts.authentication import SessionTokenAuthentication
from accounts.models import BillingDetails, Session, User
from accounts.services import accounts, sessions
from tests.accounts.forgeries import FORGERIES, claims_of, forgery, signed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROFILE = "/api/v1/user/profile"

pytestmark = pytest.mark.django_db


def ask(api, token):
    return api.get(PROFILE, headers={"authorization": f"Bearer {token}"})


def assert_refused(answer):
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {
        "error": "The access token is not valid, or not any longer.",
        "code": "authentication_failed",
    }


class TestAuthenticate:
    @pytest.mark.parametrize("with_details", [True, False])
    def test_brings_session_user_and_details_in_one_statement(self, customer, with_details):
        if with_details:
            BillingDetails.objects.create(user=customer, city="Bonn")
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {tokens.access}")

        with CaptureQueriesContext(
            connection,
        ) as statements:
            user, session = SessionTokenAuthentication().authenticate(request)
            details = getattr(user, "billing_details", None)

        assert len(statements) == 1
        assert user == customer
        assert session == Session.objects.get()
        assert (details.city if details else None) == ("Bonn" if with_details else None)

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_takes_the_scheme_in_any_case(self, api, customer, scheme):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = api.get(PROFILE, headers={"authorization": f"{scheme} {tokens.access}"})

        assert answer.status_code == 200

    @pytest.mark.parametrize("header", [None, "", "Basic dTpw", "Token abc"])
    def test_without_a_bearer_token_nobody_is_signed_in(self, api, header):
        answer = api.get(PROFILE, headers={} if header is None else {"authorization": header})

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {
            "error": "Authentication credentials were not provided.",
            "code": "not_authenticated",
        }

    @pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b"])
    def test_refuses_a_header_without_exactly_one_token(self, api, header):
        answer = api.get(PROFILE, headers={"authorization": header})

        assert answer.status_code == 401
        assert answer.json()["code"] == "authentication_failed"

    @FORGERIES
    def test_refuses_what_is_not_ours(self, api, customer, name):
        sessions.open(user=customer, now=datetime.now(UTC))

        answer = ask(api, forgery(name, Session.objects.get(), "access"))

        assert_refused(answer)

    def test_refuses_an_unknown_session(self, api, customer):
        sessions.open(user=customer, now=datetime.now(UTC))

        answer = ask(api, forgery("an unknown session", Session.objects.get(), "access"))

        assert_refused(answer)

    def test_takes_what_the_forgeries_are_made_from(self, api, customer):
        sessions.open(user=customer, now=datetime.now(UTC))

        answer = ask(api, signed(**claims_of(Session.objects.get(), "access")))

        assert answer.status_code == 200

    def test_refuses_a_refresh_token(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = ask(api, tokens.refresh)

        assert_refused(answer)

    def test_refuses_an_expired_token(self, api, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)
        clock.move_to(NOON + timedelta(minutes=14, seconds=59))
        assert ask(api, tokens.access).status_code == 200

        clock.move_to(NOON + timedelta(minutes=15))
        answer = ask(api, tokens.access)

        assert_refused(answer)

    def test_refuses_a_session_that_is_over(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        sessions.end_all(user=customer, now=datetime.now(UTC))

        answer = ask(api, tokens.access)

        assert_refused(answer)

    def test_refuses_a_session_that_expired_before_its_token(self, api, clock, customer):
        sessions.open(user=customer, now=NOON)
        token = signed(**claims_of(Session.objects.get(), "access"))
        clock.move_to(NOON + timedelta(days=30))

        answer = ask(api, token)

        assert_refused(answer)

    @pytest.mark.parametrize("status", ["suspended", "deleted"])
    def test_refuses_a_user_who_is_shut_out_at_the_next_call(self, api, customer, status):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        assert ask(api, tokens.access).status_code == 200

        User.objects.update(status=status)  # by whatever way: the session is still open
        answer = ask(api, tokens.access)

        assert_refused(answer)

    def test_takes_a_user_who_is_pending(self, api, customer):
        User.objects.update(status="pending")
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = ask(api, tokens.access)

        assert answer.status_code == 200

    def test_a_session_from_before_a_suspension_stays_dead_after_it(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        accounts.suspend(user=customer, now=datetime.now(UTC))
        accounts.activate(user=customer, now=datetime.now(UTC))

        answer = ask(api, tokens.access)

        assert_refused(answer)

    def test_a_cookie_of_the_admin_does_not_sign_in_here(self, api, customer):
        api.force_login(customer)

        answer = api.get(PROFILE)

        assert answer.status_code == 401
