import re
import smtplib
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from accounts.models import Session, User
from accounts.services import passwords, sessions
from tests.factories import UserFactory
from tests.mailbox import PATIENCE, letters
from tests.threads import at_once, overtaken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORGOT = "/api/v1/auth/forgot-password"
RESET = "/api/v1/auth/reset-password"
CHANGE = "/api/v1/user/change-password"
PROFILE = "/api/v1/user/profile"
OLD = "a long password"
NEW = "quite another password"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reset_address(settings):
    settings.PASSWORD_RESET_URL = "https://app.example.com/new-password?token="


class BrokenMailServer(EmailBackend):
    def send_messages(self, messages):
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")


class SlowMailServer(EmailBackend):
    may_go_on = Event()

    def send_messages(self, messages):
        assert self.may_go_on.wait(timeout=PATIENCE), "Somebody waits for the mail."
        return super().send_messages(messages)


def mailed_token() -> str:
    (letter,) = letters()
    (token,) = re.findall(r"https://app\.example\.com/new-password\?token=(\S+)", letter.body)
    return token


def link_of(user) -> str:
    """The token of a link, made as a mail would be."""
    return f"{user.pk.hex}-{default_token_generator.make_token(user)}"


class TestForgotPassword:
    @pytest.mark.parametrize("address", [FORGOT, FORGOT + "/"])
    def test_mails_a_link(self, api, customer, django_capture_on_commit_callbacks, address):
        with django_capture_on_commit_callbacks(execute=True):
            answer = api.post(address, {"email": "Customer@example.com"})

        assert answer.status_code == 200
        (letter,) = letters()
        assert letter.to == ["customer@example.com"]
        assert letter.subject == "Set a new password"
        assert "within the next 60 minutes" in letter.body
        ((html, kind),) = letter.alternatives
        assert kind == "text/html"
        link = f"https://app.example.com/new-password?token={mailed_token()}"
        assert html.count(link) == 2
        assert "customer@example.com" in html

    def test_the_token_is_one_word_that_needs_no_escaping(
        self, api, customer, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            api.post(FORGOT, {"email": "customer@example.com"})

        assert re.fullmatch(r"[0-9a-z-]+", mailed_token())

    def test_mails_on_commit_only(self, customer, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks() as on_commit:
            passwords.forget(email="customer@example.com")

        assert letters() == []
        assert len(on_commit) == 1

    @pytest.mark.parametrize("status", ["suspended", "deleted", None])
    def test_answers_alike_without_a_mail_for_whom_there_is_none(
        self, api, customer, django_capture_on_commit_callbacks, status
    ):
        if status:
            UserFactory(email="ann@example.com", status=status)

        with django_capture_on_commit_callbacks(execute=True):
            known = api.post(FORGOT, {"email": "customer@example.com"})
            unknown = api.post(FORGOT, {"email": "ann@example.com"})

        assert unknown.status_code == known.status_code == 200
        assert unknown.json() == known.json()
        assert known.json() == {
            "success": True,
            "message": "If there is an account with this e-mail, a link is on its way to it.",
        }
        assert [letter.to for letter in letters()] == [["customer@example.com"]]

    @pytest.mark.django_db(transaction=True)
    def test_answers_alike_when_the_mail_server_is_down(self, api, customer, settings, caplog):
        settings.EMAIL_BACKEND = f"{__name__}.BrokenMailServer"

        answer = api.post(FORGOT, {"email": "customer@example.com"})

        assert answer.status_code == 200
        assert answer.json() == api.post(FORGOT, {"email": "nobody@example.com"}).json()
        assert letters() == []
        assert "SMTPServerDisconnected" in caplog.text

    def test_nobody_waits_for_the_mail_server(
        self, api, customer, django_capture_on_commit_callbacks, settings
    ):
        settings.EMAIL_BACKEND = f"{__name__}.SlowMailServer"
        SlowMailServer.may_go_on.clear()

        with django_capture_on_commit_callbacks(execute=True):
            answer = api.post(FORGOT, {"email": "customer@example.com"})

        assert answer.status_code == 200
        assert mail.outbox == []
        SlowMailServer.may_go_on.set()
        assert len(letters()) == 1

    @pytest.mark.parametrize("body", [{}, {"email": "ann"}, {"email": 5}, {"email": "a\x00@b.de"}])
    def test_names_the_field_that_is_missing_or_no_email(self, api, body):
        answer = api.post(FORGOT, body)

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["email"]


class TestResetPassword:
    @pytest.mark.parametrize("address", [RESET, RESET + "/"])
    def test_sets_the_password_by_a_mailed_link(
        self, api, customer, django_capture_on_commit_callbacks, address
    ):
        with django_capture_on_commit_callbacks(execute=True):
            api.post(FORGOT, {"email": "customer@example.com"})

        answer = api.post(address, {"token": mailed_token(), "new_password": NEW})

        assert answer.status_code == 200
        assert answer.json() == {"success": True, "message": "The new password is set."}
        customer.refresh_from_db()
        assert customer.check_password(NEW)

    def test_ends_every_session(self, api, customer, signed_in):
        client = signed_in(customer)
        sessions.open(user=customer, now=datetime.now(UTC))
        other = UserFactory()
        sessions.open(user=other, now=datetime.now(UTC))

        api.post(RESET, {"token": link_of(customer), "new_password": NEW})

        assert [session.user for session in Session.objects.filter(ended_at=None)] == [other]
        assert client.get(PROFILE).status_code == 401

    def test_works_once(self, api, customer):
        token = link_of(customer)
        api.post(RESET, {"token": token, "new_password": NEW})

        answer = api.post(RESET, {"token": token, "new_password": "a third password"})

        assert_refused(answer)
        customer.refresh_from_db()
        assert customer.check_password(NEW)

    def test_refuses_an_old_token(self, api, customer, settings):
        settings.PASSWORD_RESET_TIMEOUT = -1
        token = link_of(customer)

        answer = api.post(RESET, {"token": token, "new_password": NEW})

        assert_refused(answer)
        customer.refresh_from_db()
        assert customer.check_password(OLD)

    def test_a_link_is_good_for_its_hour(self, api, customer, clock):
        token = link_of(customer)
        clock.move_to(NOON + timedelta(minutes=60))

        answer = api.post(RESET, {"token": token, "new_password": NEW})

        assert answer.status_code == 200

    def test_and_not_for_longer(self, api, customer, clock):
        token = link_of(customer)
        clock.move_to(NOON + timedelta(minutes=60, seconds=1))

        answer = api.post(RESET, {"token": token, "new_password": NEW})

        assert_refused(answer)

    def test_a_later_sign_in_makes_the_link_useless(self, api, customer):
        token = link_of(customer)
        sessions.sign_in(user=customer, password=OLD, now=datetime.now(UTC))

        answer = api.post(RESET, {"token": token, "new_password": NEW})

        assert_refused(answer)

    @pytest.mark.parametrize("status", ["suspended", "deleted"])
    def test_refuses_whoever_is_shut_out(self, api, customer, status):
        token = link_of(customer)
        User.objects.update(status=status)

        answer = api.post(RESET, {"token": token, "new_password": NEW})

        assert_refused(answer)
        customer.refresh_from_db()
        assert customer.check_password(OLD)

    @pytest.mark.parametrize(
        "token",
        ["garbage", "-", "--", "a-b-c", "ä", "{user}", "{user}-", "{user}-garbage"]
        + ["{user}-abc123-" + "0" * 32, "{user}-{other_proof}", "{unknown}-{proof}"]
        + ["{user}-_-_", "{user}-zzzzzzzzzzzzz-0", "{user}-99999999999999999-0"],
    )
    def test_refuses_a_bad_token(self, api, customer, token):
        other = UserFactory()
        parts = {
            "user": customer.pk.hex,
            "proof": default_token_generator.make_token(customer),
            "other_proof": default_token_generator.make_token(other),
            "unknown": UUID(int=1).hex,
        }

        answer = api.post(RESET, {"token": token.format(**parts), "new_password": NEW})

        assert_refused(answer)
        customer.refresh_from_db()
        assert customer.check_password(OLD)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"new_password": NEW}, "token"),
            ({"token": "garbage"}, "new_password"),
            ({"token": 5, "new_password": NEW}, "token"),
            ({"token": "a\x00b", "new_password": NEW}, "token"),
            ({"token": "a" * 5000, "new_password": NEW}, "token"),
            ({"token": "garbage", "new_password": 5}, "new_password"),
            ({"token": "garbage", "new_password": ""}, "new_password"),
        ],
    )
    def test_names_the_field_that_is_missing_or_wrong(self, api, body, field):
        answer = api.post(RESET, body)

        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert list(answer.json()["fields"]) == [field]

    def test_a_weak_password_is_refused_and_the_link_stays_good(self, api, customer, signed_in):
        client = signed_in(customer)
        token = link_of(customer)

        answer = api.post(RESET, {"token": token, "new_password": "customer@example"})

        assert answer.status_code == 400
        assert answer.json()["code"] == "weak_password"
        assert answer.json()["fields"] == {
            "new_password": ["The password is too similar to the e-mail."]
        }
        assert client.get(PROFILE).status_code == 200
        again = api.post(RESET, {"token": token, "new_password": NEW})
        assert again.status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_another_that_uses_the_token_and_comes_too_late(self, customer):
        token = link_of(customer)

        def reset():
            with pytest.raises(passwords.InvalidResetToken):
                passwords.reset(token=token, new_password="too late a password", now=NOON)

        overtaken(reset, by=lambda: passwords.reset(token=token, new_password=NEW, now=NOON))

        customer.refresh_from_db()
        assert customer.check_password(NEW)

    @pytest.mark.django_db(transaction=True)
    def test_of_eight_at_once_one_uses_the_token(self, customer):
        token = link_of(customer)

        def reset(number):
            try:
                passwords.reset(token=token, new_password=f"{NEW} {number}", now=NOON)
            except passwords.InvalidResetToken:
                return None
            return number

        results = at_once(8, reset)

        (winner,) = [number for number in results if number is not None]
        customer.refresh_from_db()
        assert customer.check_password(f"{NEW} {winner}")


class TestChangePassword:
    @pytest.mark.parametrize("address", [CHANGE, CHANGE + "/"])
    def test_sets_the_new_password(self, customer, signed_in, address):
        answer = signed_in(customer).post(address, {"current_password": OLD, "new_password": NEW})

        assert answer.status_code == 200
        assert answer.json() == {"success": True}
        customer.refresh_from_db()
        assert customer.check_password(NEW)

    def test_ends_all_other_sessions_and_keeps_the_callers(self, api, customer, signed_in):
        client, elsewhere = signed_in(customer), signed_in(customer)
        refresh = sessions.open(user=customer, now=datetime.now(UTC)).refresh

        client.post(CHANGE, {"current_password": OLD, "new_password": NEW})

        assert client.get(PROFILE).status_code == 200
        assert elsewhere.get(PROFILE).status_code == 401
        answer = api.post("/api/v1/auth/refresh", {"refresh_token": refresh})
        assert answer.status_code == 401

    def test_refuses_a_wrong_current_password(self, customer, signed_in):
        elsewhere = signed_in(customer)

        answer = signed_in(customer).post(
            CHANGE, {"current_password": "not my password", "new_password": NEW}
        )

        assert answer.status_code == 400
        assert answer.json() == {
            "error": "current_password: This is not your current password.",
            "code": "wrong_password",
        }
        customer.refresh_from_db()
        assert customer.check_password(OLD)
        assert elsewhere.get(PROFILE).status_code == 200

    @pytest.mark.parametrize("weak", ["short", "password", "7395812064", "customer@example.com"])
    def test_refuses_a_weak_password(self, customer, signed_in, weak):
        answer = signed_in(customer).post(CHANGE, {"current_password": OLD, "new_password": weak})

        assert answer.status_code == 400
        assert answer.json()["code"] == "weak_password"
        assert list(answer.json()["fields"]) == ["new_password"]
        customer.refresh_from_db()
        assert customer.check_password(OLD)

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, ["current_password", "new_password"]),
            ({"current_password": OLD}, ["new_password"]),
            ({"new_password": NEW}, ["current_password"]),
            ({"current_password": OLD, "new_password": 5}, ["new_password"]),
            ({"current_password": "a\x00", "new_password": NEW}, ["current_password"]),
        ],
    )
    def test_names_the_field_that_is_missing_or_wrong(self, customer, signed_in, body, fields):
        answer = signed_in(customer).post(CHANGE, body)

        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == fields

    def test_is_for_whoever_is_signed_in(self, api):
        answer = api.post(CHANGE, {"current_password": OLD, "new_password": NEW})

        assert answer.status_code == 401

    @pytest.mark.django_db(transaction=True)
    def test_waits_for_another_change_and_no_longer_knows_the_current_password(self, customer):
        sessions.open(user=customer, now=NOON)
        session = Session.objects.get()

        def change(new_password):
            passwords.change(
                user=customer,
                current_password=OLD,
                new_password=new_password,
                session=session,
                now=NOON,
            )

        def change_too_late():
            with pytest.raises(passwords.WrongPassword):
                change("too late a password")

        overtaken(change_too_late, by=lambda: change(NEW))

        customer.refresh_from_db()
        assert customer.check_password(NEW)


class TestReplace:
    def test_ends_every_session(self, customer, signed_in):
        client = signed_in(customer)

        replaced = passwords.replace(user=customer, new_password=NEW, now=NOON)

        assert replaced.check_password(NEW)
        assert client.get(PROFILE).status_code == 401

    def test_refuses_a_weak_password(self, customer):
        with pytest.raises(passwords.WeakPassword):
            passwords.replace(user=customer, new_password="short", now=NOON)

        customer.refresh_from_db()
        assert customer.check_password(OLD)


def assert_refused(answer):
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "token: The link is not valid, or not any longer.",
        "code": "invalid_reset_token",
    }
