"""The secret key is replaced, and nobody notices: until the old one is thrown away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils import timezone

from accounts.services import passwords, sessions
from tests.accounts.forgeries import claims_of, signed
from tests.factories import StaffFactory

OLD = "the-old-secret-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
NEW = "the-new-secret-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
OTHER = "somebody-elses-secret-for-tests-0123456789-abcdefghijklmnopqrstuvw"


@pytest.fixture
def old_tokens(db, customer):
    """A session whose tokens the old key signed; by now there is a new one."""
    return sessions.open(user=customer, now=timezone.now())


def resigned(session, key: str, kind: str, **claims) -> str:
    return signed(key, **{**claims_of(session, kind), **claims})


class TestTokens:
    @pytest.fixture
    def session(self, old_tokens, customer):
        return customer.sessions.get()

    def test_of_the_old_key_hold(self, session, settings, customer):
        settings.SECRET_KEY_FALLBACKS = [OTHER, OLD]
        access = resigned(session, OLD, "access")

        found = sessions.find_live(access_token=access, now=timezone.now())

        assert found.user == customer

    def test_of_the_old_key_are_rotated_into_new_ones(self, session, settings):
        settings.SECRET_KEY_FALLBACKS = [OLD]

        fresh = sessions.rotate(refresh_token=resigned(session, OLD, "refresh"), now=timezone.now())
        settings.SECRET_KEY_FALLBACKS = []

        assert sessions.find_live(access_token=fresh.access, now=timezone.now()) == session

    def test_of_the_old_key_are_nothing_once_it_is_thrown_away(self, session):
        with pytest.raises(sessions.InvalidAccessToken):
            sessions.find_live(access_token=resigned(session, OLD, "access"), now=timezone.now())

    def test_of_another_key_never_hold(self, session, settings):
        settings.SECRET_KEY_FALLBACKS = [OLD]

        with pytest.raises(sessions.InvalidAccessToken):
            sessions.find_live(access_token=resigned(session, OTHER, "access"), now=timezone.now())

    def test_of_the_old_key_end_as_they_would_have(self, session, settings):
        settings.SECRET_KEY_FALLBACKS = [OLD]
        past = int((timezone.now() - timedelta(hours=1)).timestamp())

        with pytest.raises(sessions.InvalidAccessToken):
            sessions.find_live(
                access_token=resigned(session, OLD, "access", exp=past), now=timezone.now()
            )

    def test_of_the_old_key_are_no_other_kind(self, session, settings):
        settings.SECRET_KEY_FALLBACKS = [OLD]

        with pytest.raises(sessions.InvalidAccessToken):
            sessions.find_live(access_token=resigned(session, OLD, "refresh"), now=timezone.now())


class TestLinkForANewPassword:
    def link(self, customer, settings) -> str:
        settings.SECRET_KEY = OLD
        token = f"{customer.pk.hex}-{default_token_generator.make_token(customer)}"
        settings.SECRET_KEY = NEW
        return token

    def test_of_the_old_key_holds(self, db, customer, settings):
        token = self.link(customer, settings)
        settings.SECRET_KEY_FALLBACKS = [OLD]

        passwords.reset(token=token, new_password="a new long password", now=timezone.now())

        customer.refresh_from_db()
        assert customer.check_password("a new long password")

    def test_of_the_old_key_is_nothing_once_it_is_thrown_away(self, db, customer, settings):
        token = self.link(customer, settings)
        settings.SECRET_KEY_FALLBACKS = []

        with pytest.raises(passwords.InvalidResetToken):
            passwords.reset(token=token, new_password="a new long password", now=timezone.now())

        customer.refresh_from_db()
        assert customer.check_password("a long password")


class TestStaffSession:
    @pytest.mark.parametrize(("fallbacks", "status"), [([OLD], 200), ([], 302)])
    def test_holds_as_long_as_the_old_key_is_kept(self, db, settings, fallbacks, status):
        settings.SECRET_KEY = OLD
        browser = Client()
        browser.force_login(
            StaffFactory(is_superuser=True), "django.contrib.auth.backends.ModelBackend"
        )

        settings.SECRET_KEY = NEW
        settings.SECRET_KEY_FALLBACKS = fallbacks

        assert browser.get("/admin/accounts/user/").status_code == status
