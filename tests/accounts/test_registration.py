import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth import hashers
from django.db import IntegrityError
from rest_framework.test import APIClient

from accounts.models import Session, User
from accounts.services import registration
from config.settings import base
from tests.factories import UserFactory
from tests.threads import at_once, overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REGISTER = "/api/v1/auth/register"
LOGIN = "/api/v1/auth/login"
PROFILE = "/api/v1/user/profile"
PASSWORD = "a long password"
WRONG = {
    "success": False,
    "error": "The e-mail or the password is wrong.",
    "code": "wrong_credentials",
}

pytestmark = pytest.mark.django_db


def assert_refused(answer, *, field, code="validation_error"):
    assert answer.status_code == 400
    body = answer.json()
    assert body["success"] is False
    assert body["code"] == code
    assert body["error"].startswith(f"{field}: ")
    assert not User.objects.exists()
    assert not Session.objects.exists()


class TestRegister:
    @pytest.mark.parametrize("address", [REGISTER, REGISTER + "/"])
    def test_opens_an_account_and_signs_in(self, api, clock, address):
        answer = api.post(address, {"email": "ann@example.com", "password": PASSWORD})

        assert answer.status_code == 200
        user = User.objects.get()
        body = answer.json()
        assert sorted(body) == ["refresh_token", "success", "token", "user_id"]
        assert body["success"] is True
        assert body["user_id"] == str(user.pk)
        assert user.email == "ann@example.com"
        assert user.status == "active"
        assert user.created_at == NOON
        assert user.last_login == NOON
        assert not user.is_staff
        assert not user.is_superuser
        assert user.check_password(PASSWORD)
        profile = api.get(PROFILE, headers={"authorization": f"Bearer {body['token']}"})
        assert profile.json()["email"] == "ann@example.com"

    def test_keeps_the_email_in_lower_case(self, api):
        api.post(REGISTER, {"email": " Ann@Example.COM ", "password": PASSWORD})

        assert User.objects.get().email == "ann@example.com"

    @pytest.mark.parametrize(
        ("given", "kept"), [({}, "en"), ({"language": "en"}, "en"), ({"language": "de"}, "de")]
    )
    def test_keeps_the_language_of_the_mails(self, api, given, kept):
        api.post(REGISTER, {"email": "ann@example.com", "password": PASSWORD} | given)

        assert User.objects.get().language == kept

    @pytest.mark.parametrize("language", ["fr", "", None, 5, ["de"]])
    def test_refuses_a_language_that_there_is_none_in(self, api, language):
        wish = {"email": "ann@example.com", "password": PASSWORD, "language": language}

        assert_refused(api.post(REGISTER, wish), field="language")

    @pytest.mark.parametrize("status", ["active", "pending", "suspended", "deleted"])
    @pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.com"])
    def test_refuses_a_taken_email(self, api, email, status):
        UserFactory(email="ann@example.com", status=status)

        answer = api.post(REGISTER, {"email": email, "password": PASSWORD})

        assert answer.status_code == 400
        assert answer.json() == {
            "success": False,
            "error": "email: There is an account with this e-mail already.",
            "code": "email_taken",
        }
        assert User.objects.count() == 1
        assert not Session.objects.exists()

    @pytest.mark.parametrize(
        "email",
        [None, "", "ann", "ann@", "@example.com", 5, True, ["ann@example.com"], {}]
        + ["a\x00nn@example.com", "a" * 250 + "@example.com", "ann@example.com\nBcc: b@c.de"],
    )
    def test_refuses_what_is_no_email(self, api, email):
        answer = api.post(REGISTER, {"email": email, "password": PASSWORD})

        assert_refused(answer, field="email")

    @pytest.mark.parametrize("password", [None, "", 1234567890, ["a"], "a\x00bcdefghi", "x" * 1001])
    def test_refuses_what_is_no_password(self, api, password):
        answer = api.post(REGISTER, {"email": "ann@example.com", "password": password})

        assert_refused(answer, field="password")

    @pytest.mark.parametrize(
        ("password", "sentences"),
        [
            (
                "short",
                ["This password is too short. It must contain at least 8 characters."],
            ),
            ("trustno1", ["This password is too common."]),
            ("8613370422", ["This password is entirely numeric."]),
            ("ann.miller", ["The password is too similar to the e-mail."]),
            (
                "1234",
                [
                    "This password is too short. It must contain at least 8 characters.",
                    "This password is too common.",
                    "This password is entirely numeric.",
                ],
            ),
        ],
    )
    def test_refuses_a_weak_password_with_every_reason(self, api, password, sentences):
        answer = api.post(REGISTER, {"email": "ann.miller@example.com", "password": password})

        assert_refused(answer, field="password", code="weak_password")
        assert answer.json()["fields"] == {"password": sentences}
        assert answer.json()["error"] == f"password: {' '.join(sentences)}"

    def test_blanks_at_the_ends_belong_to_the_password(self, api):
        api.post(REGISTER, {"email": "ann@example.com", "password": "  a long password "})

        user = User.objects.get()
        assert user.check_password("  a long password ")
        assert not user.check_password("a long password")

    @pytest.mark.parametrize("missing", ["email", "password"])
    def test_names_the_missing_field(self, api, missing):
        body = {"email": "ann@example.com", "password": PASSWORD}
        del body[missing]

        answer = api.post(REGISTER, body)

        assert_refused(answer, field=missing)
        assert answer.json()["fields"] == {missing: ["This field is required."]}

    def test_rights_cannot_be_asked_for(self, api):
        wish = {"is_staff": True, "is_superuser": True, "role": "admin", "status": "pending"}

        api.post(REGISTER, {"email": "ann@example.com", "password": PASSWORD, **wish})

        user = User.objects.get()
        assert (user.is_staff, user.is_superuser, user.status) == (False, False, "active")

    @pytest.mark.parametrize("address", [REGISTER, LOGIN])
    @pytest.mark.parametrize(
        ("body", "content_type", "status", "code"),
        [
            ("{", "application/json", 400, "malformed_json"),
            ("[]", "application/json", 400, "validation_error"),
            ("email=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ],
    )
    def test_errors_of_the_framework_say_success_false(
        self, api, address, body, content_type, status, code
    ):
        answer = api.post(address, body, content_type=content_type)

        assert answer.status_code == status
        assert answer.json()["success"] is False
        assert answer.json()["code"] == code

    @pytest.mark.parametrize("address", [REGISTER, LOGIN])
    def test_only_post(self, api, address):
        answer = api.get(address)

        assert answer.status_code == 405
        assert answer.json()["success"] is False

    @pytest.mark.django_db(transaction=True)
    def test_of_eight_at_once_one_gets_the_account(self):
        def register(number):
            email = "ann@example.com" if number % 2 else "ANN@example.com"
            return APIClient().post(REGISTER, {"email": email, "password": PASSWORD})

        answers = at_once(8, register)

        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
        assert {a.json()["code"] for a in answers if a.status_code == 400} == {"email_taken"}
        assert User.objects.count() == 1
        assert Session.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_the_constraint_decides_where_the_look_up_is_too_early(self):
        def register(email):
            registration.register(email=email, password=PASSWORD, now=NOON)

        def register_too_late():
            with pytest.raises(registration.EmailTaken):
                register("ANN@example.com")

        overtaken(register_too_late, by=lambda: register("ann@example.com"))

        assert User.objects.count() == 1
        assert Session.objects.count() == 1

    def test_another_broken_constraint_is_not_called_a_taken_email(self, monkeypatch):
        # The other constraint on the row, which nothing can break without a defect.
        monkeypatch.setattr(User.objects, "normalize_email", lambda email: email)

        with pytest.raises(IntegrityError, match="user_email_is_lower_case"):
            registration.register(email="ANN@example.com", password=PASSWORD, now=NOON)


class TestLogin:
    @pytest.mark.parametrize("address", [LOGIN, LOGIN + "/"])
    @pytest.mark.parametrize("email", ["customer@example.com", " Customer@EXAMPLE.com "])
    def test_signs_in(self, api, clock, customer, address, email):
        answer = api.post(address, {"email": email, "password": PASSWORD})

        assert answer.status_code == 200
        body = answer.json()
        assert sorted(body) == ["refresh_token", "success", "token", "user_id"]
        assert body["success"] is True
        assert body["user_id"] == str(customer.pk)
        customer.refresh_from_db()
        assert customer.last_login == NOON
        assert Session.objects.get().user == customer
        bearer = {"authorization": f"Bearer {body['token']}"}
        assert api.get(PROFILE, headers=bearer).status_code == 200

    def test_has_no_key_named_access_token(self, api, customer):
        answer = api.post(LOGIN, {"email": "customer@example.com", "password": PASSWORD})

        assert "access_token" not in json.dumps(answer.json())

    def test_lets_a_pending_customer_in(self, api):
        UserFactory(email="ann@example.com", status="pending")

        answer = api.post(LOGIN, {"email": "ann@example.com", "password": PASSWORD})

        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("customer@example.com", "another long password"),
            ("customer@example.com", "A long password"),
            ("customer@example.com", "a long password "),
            ("nobody@example.com", PASSWORD),
            ("no e-mail", PASSWORD),
        ],
    )
    def test_a_wrong_pair_and_an_unknown_email_look_alike(self, api, customer, email, password):
        answer = api.post(LOGIN, {"email": email, "password": password})

        assert answer.status_code == 401
        assert answer.json() == WRONG
        assert not Session.objects.exists()
        customer.refresh_from_db()
        assert customer.last_login is None

    @pytest.mark.parametrize("status", ["suspended", "deleted"])
    @pytest.mark.parametrize("password", [PASSWORD, "another long password"])
    def test_whoever_is_shut_out_looks_alike_too(self, api, status, password):
        UserFactory(email="ann@example.com", status=status)

        answer = api.post(LOGIN, {"email": "ann@example.com", "password": password})

        assert answer.status_code == 401
        assert answer.json() == WRONG
        assert not Session.objects.exists()

    def test_an_account_without_a_password_looks_alike_too(self, api):
        User.objects.create_user("ann@example.com")

        answer = api.post(LOGIN, {"email": "ann@example.com", "password": "!"})

        assert answer.status_code == 401
        assert answer.json() == WRONG

    @pytest.mark.parametrize(
        "case", ["right", "wrong", "unknown", "suspended", "without a password"]
    )
    def test_hashes_once_whatever_is_wrong(self, api, monkeypatch, case):
        UserFactory(email="right@example.com")
        UserFactory(email="suspended@example.com", status="suspended")
        User.objects.create_user("without@example.com")
        hashed = []
        encode = hashers.MD5PasswordHasher.encode

        def counted(self, password, salt):
            hashed.append(password)
            return encode(self, password, salt)

        monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counted)
        email, password = {
            "right": ("right@example.com", PASSWORD),
            "wrong": ("right@example.com", "another long password"),
            "unknown": ("unknown@example.com", PASSWORD),
            "suspended": ("suspended@example.com", PASSWORD),
            "without a password": ("without@example.com", PASSWORD),
        }[case]

        api.post(LOGIN, {"email": email, "password": password})

        assert len(hashed) == 1

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"password": PASSWORD}, "email"),
            ({"email": "customer@example.com"}, "password"),
            ({"email": None, "password": PASSWORD}, "email"),
            ({"email": "", "password": PASSWORD}, "email"),
            ({"email": "customer@example.com", "password": ""}, "password"),
            ({"email": 5, "password": PASSWORD}, "email"),
            ({"email": ["customer@example.com"], "password": PASSWORD}, "email"),
            ({"email": "customer@example.com", "password": 5}, "password"),
            ({"email": "a\x00@example.com", "password": PASSWORD}, "email"),
            ({"email": "customer@example.com", "password": "a\x00"}, "password"),
            ({"email": "a" * 300, "password": PASSWORD}, "email"),
            ({"email": "customer@example.com", "password": "a" * 1001}, "password"),
        ],
    )
    def test_names_the_field_that_is_missing_or_wrong(self, api, customer, body, field):
        answer = api.post(LOGIN, body)

        assert answer.status_code == 400
        assert answer.json()["success"] is False
        assert answer.json()["code"] == "validation_error"
        assert list(answer.json()["fields"]) == [field]
        assert answer.json()["error"].startswith(f"{field}: ")

    def test_an_expired_token_in_the_header_does_not_matter(self, api, customer):
        answer = api.post(
            LOGIN,
            {"email": "customer@example.com", "password": PASSWORD},
            headers={"authorization": "Bearer expired"},
        )

        assert answer.status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_eight_at_once_are_eight_sessions(self, customer):
        credentials = {"email": "customer@example.com", "password": PASSWORD}

        answers = at_once(8, lambda number: APIClient().post(LOGIN, credentials))

        assert [answer.status_code for answer in answers] == [200] * 8
        assert Session.objects.filter(user=customer, ended_at=None).count() == 8


class TestHashing:
    @pytest.fixture(autouse=True)
    def as_in_production(self, settings):
        settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS

    def test_passwords_are_kept_as_argon2(self, api):
        api.post(REGISTER, {"email": "ann@example.com", "password": PASSWORD})

        assert User.objects.get().password.startswith("argon2$argon2id$")

    def test_an_old_pbkdf2_hash_is_upgraded_at_login(self, api):
        user = UserFactory(email="ann@example.com")
        user.password = hashers.PBKDF2PasswordHasher().encode(PASSWORD, "0123456789abcdef", 1000)
        user.save()

        answer = api.post(LOGIN, {"email": "ann@example.com", "password": PASSWORD})

        assert answer.status_code == 200
        user.refresh_from_db()
        assert user.password.startswith("argon2$argon2id$")
        assert user.check_password(PASSWORD)
