"""Accounts in the staff area of the API."""

from __future__ import annotations

import re

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import BillingDetails, User
from accounts.services import customers
from tests.factories import StaffFactory, UserFactory
from tests.threads import overtaken

pytestmark = pytest.mark.django_db(transaction=True)

AREA = "/api/v1/admin/users"
EVERYTHING = ["accounts.view_user", "accounts.add_user", "accounts.change_user"]
PASSWORD = "a long enough password"


@pytest.fixture
def member():
    return StaffFactory(email="agent@example.com", permissions=EVERYTHING)


@pytest.fixture
def staff(member, signed_in):
    return signed_in(member)


def log_in(api, email, password=PASSWORD):
    return api.post("/api/v1/auth/login", {"email": email, "password": password})


class TestList:
    def test_shows_all_newest_first(self, staff, member):
        ann = UserFactory(email="ann@example.com")

        answer = staff.get(AREA).json()

        assert (answer["total"], answer["limit"], answer["offset"]) == (2, 20, 0)
        assert [row["email"] for row in answer["users"]] == ["ann@example.com", member.email]
        assert answer["users"][0]["id"] == str(ann.pk)
        assert [row["role"] for row in answer["users"]] == ["user", "admin"]

    def test_is_searched_filtered_and_cut(self, staff):
        UserFactory(email="ann@example.com", status="suspended")
        UserFactory(email="bob@example.org")

        def emails(**query):
            return [row["email"] for row in staff.get(AREA, query).json()["users"]]

        assert emails(search="ANN@ex") == ["ann@example.com"]
        assert emails(search="example.org") == ["bob@example.org"]
        assert emails(search="%") == []
        assert emails(status="suspended") == ["ann@example.com"]
        assert emails(limit=1, offset=1) == ["ann@example.com"]

    @pytest.mark.parametrize(
        "query", [{"status": "x"}, {"limit": 0}, {"offset": -1}, {"search": "\x00"}]
    )
    def test_refuses_what_it_cannot_ask(self, staff, query):
        response = staff.get(AREA, query)

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")

    def test_costs_the_same_for_many(self, staff, django_assert_num_queries):
        UserFactory.create_batch(2)
        with django_assert_num_queries(5):
            staff.get(AREA)

        UserFactory.create_batch(15)
        with django_assert_num_queries(5):
            staff.get(AREA)


class TestCreate:
    def test_opens_an_account(self, staff, api):
        response = staff.post(
            AREA,
            {
                "email": "Ann@Example.com",
                "password": PASSWORD,
                "details": {"company": "Engines Ltd", "country": "gb"},
            },
        )

        answer = response.json()
        assert response.status_code == 201
        assert (answer["email"], answer["status"], answer["role"]) == (
            "ann@example.com",
            "active",
            "user",
        )
        assert (answer["details"]["company"], answer["details"]["country"]) == (
            "Engines Ltd",
            "GB",
        )
        assert log_in(api, "ann@example.com").status_code == 200

    def test_without_a_password_mails_a_link_to_set_one(self, staff, api, mailoutbox):
        staff.post(AREA, {"email": "Ann@Example.com"})

        (mail,) = mailoutbox
        assert mail.to == ["ann@example.com"]
        token = re.search(r"https?://\S+", mail.body)[0].split("=")[-1].split("/")[-1]
        reset = {"token": token, "new_password": PASSWORD}
        assert api.post("/api/v1/auth/reset-password", reset).status_code == 200
        assert log_in(api, "ann@example.com").status_code == 200

    def test_with_a_password_mails_nothing(self, staff, mailoutbox):
        staff.post(AREA, {"email": "ann@example.com", "password": PASSWORD})

        assert mailoutbox == []

    def test_without_a_password_lets_nobody_in(self, staff, api):
        response = staff.post(AREA, {"email": "ann@example.com"})

        assert response.status_code == 201
        assert not User.objects.get(email="ann@example.com").has_usable_password()
        assert log_in(api, "ann@example.com", "").status_code in (400, 401)

    def test_of_a_taken_email_is_409(self, staff, mailoutbox):
        UserFactory(email="ann@example.com")

        response = staff.post(AREA, {"email": "ANN@example.com", "details": {"company": "X"}})

        assert (response.status_code, response.json()["code"]) == (409, "email_in_use")
        assert User.objects.filter(email="ann@example.com").count() == 1
        assert mailoutbox == []
        assert not BillingDetails.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"email": "no address"},
            {"email": "ann@example.com\x00"},
            {"email": 5},
            {"email": "ann@example.com", "password": "short"},
            {"email": "ann@example.com", "details": {"country": "XX"}},
            {"email": "ann@example.com", "details": {"company": "x" * 201}},
            {"email": "ann@example.com", "details": "x"},
        ],
    )
    def test_of_bad_input_is_400_and_writes_nothing(self, staff, body):
        response = staff.post(AREA, body)

        assert response.status_code == 400
        assert User.objects.count() == 1

    def test_makes_nobody_staff(self, staff):
        body = {"email": "ann@example.com", "id": "019aa000-0000-7000-8000-000000000000"}
        grab = {"is_staff": True, "is_superuser": True, "role": "admin", "groups": [1]}

        made = staff.post(AREA, body | grab | {"status": "suspended"}).json()
        staff.put(f"{AREA}/{made['id']}", grab | {"status": "deleted"})

        ann = User.objects.get(email="ann@example.com")
        assert (ann.is_staff, ann.is_superuser, ann.status) == (False, False, "active")
        assert str(ann.pk) != body["id"]
        assert not ann.groups.exists()


class TestEdit:
    def test_changes_what_is_named(self, staff, member):
        ann = UserFactory(email="ann@example.com")
        BillingDetails.objects.create(user=ann, company="Engines Ltd", city="London")

        answer = staff.put(
            f"{AREA}/{ann.pk}", {"email": "Ada@example.com", "details": {"city": "Ockham"}}
        ).json()["user"]

        assert answer["email"] == "ada@example.com"
        assert (answer["details"]["company"], answer["details"]["city"]) == (
            "Engines Ltd",
            "Ockham",
        )
        assert ann.history.get().pgh_context.metadata["user"] == str(member.pk)

    def test_of_the_email_ends_the_sessions(self, staff, signed_in):
        ann = UserFactory(email="ann@example.com")
        client = signed_in(ann)

        staff.put(f"{AREA}/{ann.pk}", {"email": "ada@example.com"})

        assert client.get("/api/v1/user/profile").status_code == 401

    def test_to_a_taken_email_is_409(self, staff):
        ann = UserFactory(email="ann@example.com")
        UserFactory(email="bob@example.com")

        response = staff.put(
            f"{AREA}/{ann.pk}", {"email": "bob@example.com", "details": {"city": "X"}}
        )

        assert (response.status_code, response.json()["code"]) == (409, "email_in_use")
        ann.refresh_from_db()
        assert ann.email == "ann@example.com"
        assert not BillingDetails.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            [],
            {"email": None},
            {"email": "x" * 250 + "@example.com"},
            {"email": "ada@example.com", "details": {"country": "XX"}},
            {"email": "ada@example.com", "details": {"company": "a\x00b"}},
            {"email": "ada@example.com", "details": {"company": 5}},
        ],
    )
    def test_of_bad_input_is_400_and_changes_nothing(self, staff, body):
        ann = UserFactory(email="ann@example.com")

        response = staff.put(f"{AREA}/{ann.pk}", body)

        assert response.status_code == 400
        ann.refresh_from_db()
        assert ann.email == "ann@example.com"
        assert not BillingDetails.objects.exists()


class TestShutting:
    @pytest.mark.parametrize("reason", [5, "", "a\x00b", "x" * 501, None])
    def test_for_no_reason_that_can_be_kept_is_400(self, staff, reason):
        ann = UserFactory()

        response = staff.post(f"{AREA}/{ann.pk}/suspend", {"reason": reason})

        assert (response.status_code, response.json()["code"]) == (400, "validation_error")
        ann.refresh_from_db()
        assert ann.status == "active"

    def test_suspends_and_lets_in_again(self, staff, member, signed_in):
        ann = UserFactory()
        client = signed_in(ann)

        suspended = staff.post(f"{AREA}/{ann.pk}/suspend", {"reason": "Fraud"}).json()["user"]
        answer = client.get("/api/v1/user/profile").status_code
        active = staff.post(f"{AREA}/{ann.pk}/activate").json()["user"]

        assert (suspended["status"], answer, active["status"]) == ("suspended", 401, "active")
        noted = ann.history.order_by("pgh_id").first().pgh_context.metadata
        assert (noted["user"], noted["reason"]) == (str(member.pk), "Fraud")

    def test_of_a_closed_one_is_refused(self, staff):
        ann = UserFactory(status="deleted")

        response = staff.post(f"{AREA}/{ann.pk}/activate")

        assert (response.status_code, response.json()["code"]) == (400, "account_closed")


class TestStaffAccounts:
    @pytest.mark.parametrize(("method", "path"), [("put", ""), ("post", "/suspend")])
    @pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
    def test_are_out_of_reach(self, staff, method, path, rights):
        other = UserFactory(email="other@example.com", **rights)

        response = getattr(staff, method)(f"{AREA}/{other.pk}{path}", {"email": "x@example.com"})

        assert (response.status_code, response.json()["code"]) == (403, "account_out_of_reach")
        other.refresh_from_db()
        assert (other.email, other.status) == ("other@example.com", "active")

    def test_are_within_reach_of_a_superuser(self, signed_in):
        root = signed_in(StaffFactory(is_superuser=True))
        other = StaffFactory()

        assert root.post(f"{AREA}/{other.pk}/suspend").json()["user"]["status"] == "suspended"

    def test_of_ones_own_is_out_of_reach_too(self, signed_in):
        root = StaffFactory(is_superuser=True)

        response = signed_in(root).post(f"{AREA}/{root.pk}/suspend")

        assert response.status_code == 403


class TestPermissions:
    @pytest.mark.parametrize(
        ("method", "path", "permission"),
        [
            ("get", "", "accounts.view_user"),
            ("get", "/{pk}", "accounts.view_user"),
            ("post", "", "accounts.add_user"),
            ("put", "/{pk}", "accounts.change_user"),
            ("post", "/{pk}/suspend", "accounts.change_user"),
            ("post", "/{pk}/activate", "accounts.change_user"),
        ],
    )
    def test_each_call_asks_for_its_own(self, signed_in, method, path, permission):
        ann = UserFactory()
        others = [name for name in EVERYTHING if name != permission]
        client = signed_in(StaffFactory(permissions=others))

        response = getattr(client, method)(AREA + path.format(pk=ann.pk))

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


class TestLocks:
    def test_wait_for_the_account(self, member, held_by_another):
        ann = UserFactory()
        now = timezone.now()
        calls = (
            lambda: customers.edit(user=ann, email="x@example.com", given={}, by=member, now=now),
            lambda: customers.suspend(user=ann, by=member, reason="x", now=now),
            lambda: customers.activate(user=ann, by=member, reason="x", now=now),
            lambda: customers.close(user=ann, by=member, reason="x", now=now),
        )

        for call in calls:
            with held_by_another(ann), pytest.raises(OperationalError, match="lock timeout"):
                call()

    @pytest.mark.parametrize("change", ["edit", "suspend", "activate", "close"])
    def test_let_nobody_change_who_has_joined_the_staff_meanwhile(self, member, change):
        ann = UserFactory(email="ann@example.com")
        now = timezone.now()
        calls = {
            "edit": lambda: customers.edit(
                user=ann, email="x@example.com", given={}, by=member, now=now
            ),
            "suspend": lambda: customers.suspend(user=ann, by=member, reason="x", now=now),
            "activate": lambda: customers.activate(user=ann, by=member, reason="x", now=now),
            "close": lambda: customers.close(user=ann, by=member, reason="x", now=now),
        }

        def try_to():
            try:
                calls[change]()
            except customers.OutOfReach as refusal:
                return refusal.code

        outcome = overtaken(try_to, by=lambda: User.objects.filter(pk=ann.pk).update(is_staff=True))

        assert outcome == "account_out_of_reach"
        ann.refresh_from_db()
        assert (ann.email, ann.status, ann.is_staff) == ("ann@example.com", "active", True)
