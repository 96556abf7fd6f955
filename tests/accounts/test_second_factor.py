"""Two-factor sign-in of staff: in the admin, and in the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import Session, User
from accounts.services import second_factor
from accounts.services.second_factor import (
    SecondFactorRequired,
    TooManyCodes,
    WrongCode,
)
from tests.accounts.browsers import code_of
from tests.factories import StaffFactory, UserFactory

INDEX = "/admin/"
ENTER = "/admin/second-factor/"
SET_UP = "/admin/second-factor/set-up/"
PASSWORD = "a long enough password"


def wrong(code: str) -> str:
    return f"{(int(code) + 500_001) % 1_000_000:06}"


@pytest.fixture
def member(db) -> User:
    member = StaffFactory(permissions=["billing.view_invoice", "billing.take_payment"])
    member.set_password(PASSWORD)
    member.save()
    return member


@pytest.fixture
def phone(member, clock) -> TOTPDevice:
    """The member's, set up a while ago."""
    waiting = second_factor.begin(user=member)
    phone, _codes = second_factor.confirm(user=member, code=code_of(waiting), now=timezone.now())
    clock.shift(timedelta(minutes=5))
    return phone


@pytest.fixture
def browser(member) -> Client:
    """Has passed the password."""
    client = Client()
    client.force_login(member, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.django_db
class TestAdmin:
    def test_lets_staff_work_without_one_where_it_is_not_demanded(self, browser):
        assert browser.get(INDEX).status_code == 200

    def test_sends_to_the_set_up_where_it_is_demanded(self, browser, settings):
        settings.STAFF_TWO_FACTOR_REQUIRED = True

        for path in (INDEX, "/admin/billing/invoice/?q=1", "/admin/password_change/"):
            response = browser.get(path)

            assert response.status_code == 302, path
            assert response["Location"].startswith(f"{SET_UP}?next=%2Fadmin%2F")

    @pytest.mark.usefixtures("phone")
    def test_asks_for_the_code_of_who_has_one(self, browser):
        response = browser.post("/admin/billing/invoice/?q=1")

        assert response.status_code == 302
        assert response["Location"] == f"{ENTER}?next=%2Fadmin%2Fbilling%2Finvoice%2F%3Fq%3D1"

    def test_lets_in_with_the_code_and_goes_on(self, browser, phone):
        target = "/admin/billing/invoice/?q=1"

        response = browser.post(
            f"{ENTER}?next=/admin/billing/invoice/%3Fq%3D1", {"code": code_of(phone)}
        )

        assert (response.status_code, response["Location"]) == (302, target)
        assert browser.get(INDEX).status_code == 200

    def test_takes_a_code_with_a_space_in_it(self, browser, phone):
        code = code_of(phone)

        response = browser.post(ENTER, {"code": f" {code[:3]} {code[3:]} "})

        assert response.status_code == 302

    def test_takes_each_code_once(self, browser, phone, member):
        second_factor.verify(user=member, code=code_of(phone))

        response = browser.post(ENTER, {"code": code_of(phone)})

        assert "The code is wrong." in response.content.decode()
        assert browser.get(INDEX).status_code == 302

    def test_makes_one_wait_after_a_wrong_code(self, browser, phone, clock):
        browser.post(ENTER, {"code": wrong(code_of(phone))})

        at_once = browser.post(ENTER, {"code": code_of(phone)})
        clock.shift(timedelta(seconds=2))
        later = browser.post(ENTER, {"code": code_of(phone)})

        assert "Too many wrong codes" in at_once.content.decode()
        assert later.status_code == 302

    @pytest.mark.usefixtures("phone")
    def test_takes_a_recovery_code_once(self, browser, member):
        code = StaticToken.objects.filter(device__user=member).first().token

        first = browser.post(ENTER, {"code": code.upper()})
        browser.logout()
        browser.force_login(member, "django.contrib.auth.backends.ModelBackend")
        second = browser.post(ENTER, {"code": code})

        assert first.status_code == 302
        assert "The code is wrong." in second.content.decode()

    def test_does_not_take_the_phone_of_somebody_else(self, browser, phone):
        other = StaffFactory()
        theirs = second_factor.begin(user=other)
        second_factor.confirm(user=other, code=code_of(theirs), now=timezone.now())

        response = browser.post(ENTER, {"code": code_of(theirs, ahead=1)})

        assert response.status_code == 200
        assert browser.get(INDEX).status_code == 302

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:1"])
    def test_goes_nowhere_else_after_the_code(self, browser, phone, target):
        response = browser.post(f"{ENTER}?next={target}", {"code": code_of(phone)})

        assert response["Location"] == INDEX

    @pytest.mark.parametrize("code", ["", "x" * 17, "\x00", "１２３４５６", "12 345", "😀"])
    def test_shows_an_error_for_what_is_no_code(self, browser, phone, code):
        response = browser.post(ENTER, {"code": code})

        assert response.status_code == 200
        assert browser.get(INDEX).status_code == 302

    def test_has_its_pages_for_staff_only(self, client, customer):
        for page in (ENTER, SET_UP):
            assert client.get(page)["Location"] == reverse("admin:login")
        client.force_login(customer, "django.contrib.auth.backends.ModelBackend")
        for page in (ENTER, SET_UP):
            assert client.get(page)["Location"] == reverse("admin:login")
        assert not TOTPDevice.objects.exists()


@pytest.mark.django_db
class TestSetUp:
    def test_shows_a_picture_and_the_key(self, browser):
        page = browser.get(SET_UP).content.decode()

        assert "data:image/svg+xml" in page
        assert "no-store" in browser.get(SET_UP)["Cache-Control"]

    def test_keeps_the_key_until_it_is_confirmed(self, browser, member):
        browser.get(SET_UP)
        browser.get(SET_UP)

        assert TOTPDevice.objects.get(user=member).confirmed is False

    def test_turns_it_on_by_the_first_code(self, browser, member):
        browser.get(SET_UP)
        waiting = TOTPDevice.objects.get(user=member)

        page = browser.post(SET_UP, {"code": code_of(waiting)}).content.decode()

        codes = list(StaticToken.objects.values_list("token", flat=True))
        assert len(codes) == 10
        assert all(code in page for code in codes)
        assert second_factor.is_set_up(user=member)
        assert browser.get(INDEX).status_code == 200

    def test_stays_off_after_a_wrong_code(self, browser, member):
        browser.get(SET_UP)
        waiting = TOTPDevice.objects.get(user=member)

        page = browser.post(SET_UP, {"code": wrong(code_of(waiting))}).content.decode()

        assert "The code is wrong." in page
        assert not second_factor.is_set_up(user=member)

    def test_asks_for_the_old_phone_before_a_new_one(self, browser, phone):
        assert browser.get(SET_UP)["Location"] == ENTER
        assert browser.post(SET_UP, {"code": "123456"})["Location"] == ENTER

    def test_replaces_the_old_phone(self, browser, phone, member, clock):
        browser.post(ENTER, {"code": code_of(phone)})
        browser.get(SET_UP)
        waiting = TOTPDevice.objects.get(user=member, confirmed=False)

        browser.post(SET_UP, {"code": code_of(waiting)})

        assert list(TOTPDevice.objects.values_list("pk", flat=True)) == [waiting.pk]
        clock.shift(timedelta(minutes=5))
        with pytest.raises(WrongCode):
            second_factor.verify(user=member, code=code_of(phone))

    def test_ends_the_sessions_of_the_api(self, member, signed_in):
        client = signed_in(member)
        waiting = second_factor.begin(user=member)

        second_factor.confirm(user=member, code=code_of(waiting), now=timezone.now())

        assert client.get("/api/v1/user/profile").status_code == 401
        assert not Session.objects.filter(ended_at=None).exists()


@pytest.mark.django_db(transaction=True)
class TestLocks:
    def test_wait_for_the_user(self, member, phone, held_by_another):
        calls = (
            lambda: second_factor.verify(user=member, code=code_of(phone)),
            lambda: second_factor.begin(user=member),
            lambda: second_factor.confirm(user=member, code="123456", now=timezone.now()),
            lambda: second_factor.remove(user=member, now=timezone.now()),
        )

        for call in calls:
            with held_by_another(member), pytest.raises(OperationalError, match="lock timeout"):
                call()


@pytest.mark.django_db
class TestApi:
    def log_in(self, api, member, **more):
        return api.post("/api/v1/auth/login", {"email": member.email, "password": PASSWORD, **more})

    def test_asks_staff_who_have_one_for_the_code(self, api, member, phone):
        without = self.log_in(api, member)
        false = self.log_in(api, member, code=wrong(code_of(phone)))

        assert (without.status_code, without.json()["code"]) == (401, "second_factor_required")
        assert (false.status_code, false.json()["code"]) == (401, "wrong_code")
        assert not Session.objects.filter(ended_at=None).exists()

    def test_lets_staff_in_with_the_code(self, api, member, phone):
        response = self.log_in(api, member, code=code_of(phone))

        assert response.status_code == 200
        assert Session.objects.filter(user=member, ended_at=None).count() == 1

    def test_counts_wrong_codes(self, api, member, phone):
        self.log_in(api, member, code=wrong(code_of(phone)))

        response = self.log_in(api, member, code=code_of(phone))

        assert (response.status_code, response.json()["code"]) == (429, "too_many_codes")

    def test_says_nothing_of_a_code_before_the_password_is_right(self, api, member, phone):
        response = api.post(
            "/api/v1/auth/login",
            {"email": member.email, "password": "wrong", "code": code_of(phone)},
        )

        assert response.json()["code"] == "wrong_credentials"

    def test_never_asks_a_customer(self, api):
        customer = UserFactory()
        customer.set_password(PASSWORD)
        customer.save()

        assert self.log_in(api, customer).status_code == 200

    def test_keeps_staff_without_one_out_of_the_staff_area_where_it_is_demanded(
        self, member, signed_in, settings
    ):
        client = signed_in(member)
        settings.STAFF_TWO_FACTOR_REQUIRED = True

        listed = client.get("/api/v1/admin/invoices")
        paid = client.post("/api/v1/webhooks/payment", {})

        assert (listed.status_code, listed.json()["code"]) == (403, "second_factor_missing")
        assert (paid.status_code, paid.json()["code"]) == (403, "second_factor_missing")


@pytest.mark.django_db
class TestService:
    def test_asks_for_a_code_that_is_not_there(self, member):
        with pytest.raises(SecondFactorRequired):
            second_factor.ask(user=member, code="")

    @pytest.mark.django_db(transaction=True)
    def test_remembers_that_a_wrong_code_was_tried(self, member, phone):
        with pytest.raises(WrongCode):
            second_factor.verify(user=member, code=wrong(code_of(phone)))

        with pytest.raises(TooManyCodes):
            second_factor.verify(user=member, code=code_of(phone))

    def test_is_removed_by_a_superuser(self, client, member, phone):
        superuser = StaffFactory(is_superuser=True)
        client.force_login(superuser, "django.contrib.auth.backends.ModelBackend")

        client.post(f"/admin/otp_totp/totpdevice/{phone.pk}/delete/", {"post": "yes"})

        assert not second_factor.is_set_up(user=member)
        assert not StaticToken.objects.exists()

    def test_is_out_of_reach_for_other_staff(self, client, member, phone):
        other = StaffFactory()
        other.user_permissions.set(Permission.objects.filter(content_type__app_label="otp_totp"))
        client.force_login(other, "django.contrib.auth.backends.ModelBackend")

        assert client.get("/admin/otp_totp/totpdevice/").status_code == 403
        assert client.post(f"/admin/otp_totp/totpdevice/{phone.pk}/delete/").status_code == 403
        assert second_factor.is_set_up(user=member)

    def test_never_shows_the_key(self, client, phone):
        client.force_login(
            StaffFactory(is_superuser=True), "django.contrib.auth.backends.ModelBackend"
        )

        page = client.get(f"/admin/otp_totp/totpdevice/{phone.pk}/change/").content.decode()

        assert phone.key not in page
        assert phone.config_url.split("secret=")[1].split("&")[0] not in page
