from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest
from django.conf import settings

from accounts.models import Session, User
from accounts.services import accounts, passwords, sessions
from tests.accounts.forgeries import FORGERIES, claims_of, forgery, signed
from tests.factories import UserFactory
from tests.threads import at_once, overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
PROFILE = "/api/v1/user/profile"
PASSWORD = "a long password"

pytestmark = pytest.mark.django_db


def read(token: str) -> dict:
    return jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])


class TestOpen:
    def test_keeps_the_session_and_not_the_tokens(self, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)

        session = Session.objects.get()
        assert session.user == customer
        assert session.created_at == NOON
        assert session.expires_at == datetime(2026, 3, 31, 12, tzinfo=UTC)
        assert session.ended_at is None
        assert session.token_id == UUID(read(tokens.refresh)["jti"])
        assert tokens.user_id == customer.pk

    def test_access_lives_for_minutes_and_refresh_for_days(self, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)

        session = Session.objects.get()
        access, refresh = read(tokens.access), read(tokens.refresh)
        assert access == {
            "token_type": "access",
            "jti": access["jti"],
            "sid": str(session.pk),
            "sub": str(customer.pk),
            "exp": int(datetime(2026, 3, 1, 12, 15, tzinfo=UTC).timestamp()),
        }
        assert refresh["token_type"] == "refresh"
        assert refresh["sid"] == str(session.pk)
        assert refresh["exp"] == int(datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp())

    def test_each_one_is_a_session_of_its_own(self, customer):
        sessions.open(user=customer, now=NOON)
        sessions.open(user=customer, now=NOON)

        assert Session.objects.filter(user=customer, ended_at=None).count() == 2


class TestSignIn:
    def test_refuses_nobody(self):
        with pytest.raises(sessions.WrongCredentials):
            sessions.sign_in(user=None, password=PASSWORD, now=NOON)

        assert not Session.objects.exists()

    def test_refuses_an_account_suspended_since_the_password_was_checked(self, customer):
        User.objects.update(status="suspended")

        with pytest.raises(sessions.WrongCredentials):
            sessions.sign_in(user=customer, password=PASSWORD, now=NOON)

        assert not Session.objects.exists()

    def test_refuses_a_password_replaced_since_it_was_checked(self, customer):
        other = User.objects.get(pk=customer.pk)
        other.set_password("another long password")
        other.save()

        with pytest.raises(sessions.WrongCredentials):
            sessions.sign_in(user=customer, password=PASSWORD, now=NOON)

        assert not Session.objects.exists()
        customer.refresh_from_db()
        assert customer.last_login is None

    def test_takes_a_password_whose_hash_was_upgraded_since_it_was_checked(self, customer):
        other = User.objects.get(pk=customer.pk)
        other.set_password(PASSWORD)  # another salt
        other.save()

        sessions.sign_in(user=customer, password=PASSWORD, now=NOON)

        assert Session.objects.filter(user=customer, ended_at=None).count() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        "change",
        [
            lambda user: accounts.suspend(user=user, now=NOON),
            lambda user: passwords.replace(user=user, new_password="another one", now=NOON),
        ],
        ids=["suspended", "another password"],
    )
    def test_waits_for_a_change_of_the_user_and_obeys_it(self, customer, change):
        checked = User.objects.get(pk=customer.pk)

        def sign_in():
            with pytest.raises(sessions.WrongCredentials):
                sessions.sign_in(user=checked, password=PASSWORD, now=NOON)

        overtaken(sign_in, by=lambda: change(customer))

        assert not Session.objects.exists()


class TestRefresh:
    @pytest.mark.parametrize("address", [REFRESH, REFRESH + "/"])
    def test_gives_a_new_pair(self, api, clock, customer, address):
        old = sessions.open(user=customer, now=NOON)
        clock.move_to(NOON + timedelta(days=1))

        answer = api.post(address, {"refresh_token": old.refresh})

        assert answer.status_code == 200
        assert sorted(answer.json()) == ["refresh_token", "token"]
        assert answer.json()["refresh_token"] != old.refresh
        session = Session.objects.get()
        assert session.ended_at is None
        assert session.token_id == UUID(read(answer.json()["refresh_token"])["jti"])
        assert session.expires_at == datetime(2026, 4, 1, 12, tzinfo=UTC)
        assert read(answer.json()["token"])["sid"] == str(session.pk)

    def test_the_new_pair_works(self, api, customer):
        old = sessions.open(user=customer, now=datetime.now(UTC))

        new = api.post(REFRESH, {"refresh_token": old.refresh}).json()

        assert api.get(PROFILE, headers={"authorization": f"Bearer {new['token']}"}).json()[
            "email"
        ] == ("customer@example.com")
        again = api.post(REFRESH, {"refresh_token": new["refresh_token"]})
        assert again.status_code == 200

    def test_the_same_token_again_ends_the_whole_session(self, api, customer):
        old = sessions.open(user=customer, now=datetime.now(UTC))
        new = api.post(REFRESH, {"refresh_token": old.refresh}).json()

        answer = api.post(REFRESH, {"refresh_token": old.refresh})

        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_refresh_token"
        assert Session.objects.get().ended_at is not None
        assert api.post(REFRESH, {"refresh_token": new["refresh_token"]}).status_code == 401
        bearer = {"authorization": f"Bearer {new['token']}"}
        assert api.get(PROFILE, headers=bearer).status_code == 401

    def test_leaves_other_sessions_alone(self, api, customer):
        old = sessions.open(user=customer, now=datetime.now(UTC))
        other = sessions.open(user=customer, now=datetime.now(UTC))
        api.post(REFRESH, {"refresh_token": old.refresh})
        api.post(REFRESH, {"refresh_token": old.refresh})

        answer = api.post(REFRESH, {"refresh_token": other.refresh})

        assert answer.status_code == 200

    @FORGERIES
    def test_refuses_what_is_not_ours(self, api, customer, name):
        sessions.open(user=customer, now=datetime.now(UTC))
        session = Session.objects.get()

        answer = api.post(REFRESH, {"refresh_token": forgery(name, session, "refresh")})

        assert answer.status_code == 401
        assert answer.json() == {
            "error": "refresh_token: It is not valid, or not any longer.",
            "code": "invalid_refresh_token",
        }
        unchanged = Session.objects.get()
        assert unchanged.ended_at is None
        assert unchanged.token_id == session.token_id

    def test_refuses_an_unknown_session(self, api, customer):
        sessions.open(user=customer, now=datetime.now(UTC))
        token = forgery("an unknown session", Session.objects.get(), "refresh")

        answer = api.post(REFRESH, {"refresh_token": token})

        assert answer.status_code == 401
        assert Session.objects.get().ended_at is None

    def test_refuses_an_access_token(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = api.post(REFRESH, {"refresh_token": tokens.access})

        assert answer.status_code == 401
        assert Session.objects.get().ended_at is None

    def test_refuses_an_expired_token(self, api, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)
        clock.move_to(NOON + timedelta(days=30, seconds=1))

        answer = api.post(REFRESH, {"refresh_token": tokens.refresh})

        assert answer.status_code == 401
        assert Session.objects.get().expires_at == datetime(2026, 3, 31, 12, tzinfo=UTC)

    def test_refuses_a_session_that_expired_before_its_token(self, api, clock, customer):
        sessions.open(user=customer, now=NOON)
        session = Session.objects.get()
        clock.move_to(NOON + timedelta(days=31))

        answer = api.post(REFRESH, {"refresh_token": signed(**claims_of(session, "refresh"))})

        assert answer.status_code == 401
        assert Session.objects.get().token_id == session.token_id

    @pytest.mark.parametrize("status", ["suspended", "deleted"])
    def test_refuses_a_customer_who_is_shut_out(self, api, customer, status):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        before = Session.objects.get().token_id
        User.objects.update(status=status)  # by whatever way

        answer = api.post(REFRESH, {"refresh_token": tokens.refresh})

        assert answer.status_code == 401
        assert Session.objects.get().token_id == before

    @pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": 5}])
    @pytest.mark.parametrize("address", [REFRESH, LOGOUT])
    def test_names_the_field_that_is_missing_or_no_text(self, api, address, body):
        answer = api.post(address, body)

        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert list(answer.json()["fields"]) == ["refresh_token"]

    @pytest.mark.parametrize("text", ["a\x00b", "x" * 5000])
    def test_refuses_odd_text(self, api, text):
        answer = api.post(REFRESH, {"refresh_token": text})

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["refresh_token"]

    @pytest.mark.django_db(transaction=True)
    def test_one_of_eight_at_once_gets_through(self, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        def refresh(_):
            try:
                return sessions.rotate(refresh_token=tokens.refresh, now=datetime.now(UTC))
            except sessions.InvalidRefreshToken:
                return None

        results = at_once(8, refresh)

        winners = [result for result in results if result]
        assert len(winners) == 1
        session = Session.objects.get()
        assert session.token_id == UUID(read(winners[0].refresh)["jti"])
        assert session.ended_at is not None

    @pytest.mark.django_db(transaction=True)
    def test_looks_again_after_it_has_waited_for_another(self, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        def refresh():
            with pytest.raises(sessions.InvalidRefreshToken):
                sessions.rotate(refresh_token=tokens.refresh, now=datetime.now(UTC))

        overtaken(
            refresh,
            by=lambda: sessions.rotate(refresh_token=tokens.refresh, now=datetime.now(UTC)),
        )

        assert Session.objects.get().ended_at is not None

    @pytest.mark.django_db(transaction=True)
    def test_does_not_bring_an_ended_session_back(self, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        before = Session.objects.get().token_id

        def refresh():
            with pytest.raises(sessions.InvalidRefreshToken):
                sessions.rotate(refresh_token=tokens.refresh, now=datetime.now(UTC))

        overtaken(refresh, by=lambda: sessions.end_all(user=customer, now=NOON))

        session = Session.objects.get()
        assert session.ended_at == NOON
        assert session.token_id == before


class TestLogout:
    @pytest.mark.parametrize("address", [LOGOUT, LOGOUT + "/"])
    def test_ends_the_session_and_all_of_its_tokens(self, api, customer, address):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = api.post(address, {"refresh_token": tokens.refresh})

        assert answer.status_code == 200
        assert answer.json() == {"success": True, "message": "You are signed out."}
        assert api.post(REFRESH, {"refresh_token": tokens.refresh}).status_code == 401
        bearer = {"authorization": f"Bearer {tokens.access}"}
        assert api.get(PROFILE, headers=bearer).status_code == 401

    def test_again_is_fine_and_changes_nothing(self, api, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)
        api.post(LOGOUT, {"refresh_token": tokens.refresh})
        clock.move_to(NOON + timedelta(minutes=1))

        answer = api.post(LOGOUT, {"refresh_token": tokens.refresh})

        assert answer.status_code == 200
        assert Session.objects.get().ended_at == NOON

    def test_an_expired_token_is_fine(self, api, clock, customer):
        tokens = sessions.open(user=customer, now=NOON)
        clock.move_to(NOON + timedelta(days=31))

        answer = api.post(LOGOUT, {"refresh_token": tokens.refresh})

        assert answer.status_code == 200

    def test_a_used_token_ends_the_session_too(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        api.post(REFRESH, {"refresh_token": tokens.refresh})

        answer = api.post(LOGOUT, {"refresh_token": tokens.refresh})

        assert answer.status_code == 200
        assert Session.objects.get().ended_at is not None

    def test_leaves_other_sessions_alone(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        sessions.open(user=customer, now=datetime.now(UTC))

        api.post(LOGOUT, {"refresh_token": tokens.refresh})

        assert Session.objects.filter(ended_at=None).count() == 1

    @FORGERIES
    def test_refuses_what_is_not_ours(self, api, customer, name):
        sessions.open(user=customer, now=datetime.now(UTC))
        token = forgery(name, Session.objects.get(), "refresh")

        answer = api.post(LOGOUT, {"refresh_token": token})

        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_refresh_token"
        assert Session.objects.get().ended_at is None

    def test_refuses_an_access_token(self, api, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))

        answer = api.post(LOGOUT, {"refresh_token": tokens.access})

        assert answer.status_code == 401
        assert Session.objects.get().ended_at is None


class TestEndAll:
    def test_ends_those_of_one_user(self, customer):
        sessions.open(user=customer, now=NOON)
        sessions.open(user=customer, now=NOON)
        other = UserFactory()
        sessions.open(user=other, now=NOON)

        sessions.end_all(user=customer, now=NOON + timedelta(hours=1))

        ended = Session.objects.filter(ended_at=NOON + timedelta(hours=1))
        assert [session.user for session in ended] == [customer, customer]
        assert Session.objects.get(user=other).ended_at is None

    def test_keeps_the_moment_of_those_that_are_over(self, customer):
        tokens = sessions.open(user=customer, now=datetime.now(UTC))
        sessions.end(refresh_token=tokens.refresh, now=NOON)

        sessions.end_all(user=customer, now=NOON + timedelta(hours=1))

        assert Session.objects.get().ended_at == NOON

    def test_can_leave_one_out(self, customer):
        sessions.open(user=customer, now=NOON)
        kept = Session.objects.get()
        sessions.open(user=customer, now=NOON)

        sessions.end_all(user=customer, now=NOON, but=kept)

        assert Session.objects.get(ended_at=None) == kept
