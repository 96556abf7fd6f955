import pytest
from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts.models import BillingDetails, Session, User
from accounts.services import sessions
from tests.accounts.browsers import client_of
from tests.factories import StaffFactory, UserFactory

LIST = reverse("admin:accounts_user_changelist")
ADD = reverse("admin:accounts_user_add")
PASSWORD = "quite another password"

pytestmark = pytest.mark.django_db


def page_of(user) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def password_page_of(user) -> str:
    return reverse("admin:auth_user_password_change", args=[user.pk])


def form(email="customer@example.com", **typed):
    """The page of a user as it is sent, with no details."""
    return {
        "email": email,
        "language": "en",
        "billing_details-TOTAL_FORMS": "0",
        "billing_details-INITIAL_FORMS": "0",
        **typed,
    }


class TestList:
    def test_shows_who_is_who(self, viewer):
        UserFactory(email="ann@example.com", status="suspended")

        page = viewer.get(LIST)

        assert page.status_code == 200
        assert b"ann@example.com" in page.content
        assert b"suspended" in page.content
        assert [column["text"] for column in result_headers(page.context["cl"])] == [
            "e-mail",
            "name, company",
            "status",
            "role",
            "created at",
            "last login",
        ]

    def test_is_searched_by_email(self, viewer):
        UserFactory(email="ann@example.com")
        UserFactory(email="bob@example.com")

        page = viewer.get(LIST, {"q": "ANN@"})

        assert [user.email for user in page.context["cl"].result_list] == ["ann@example.com"]

    def test_is_filtered_by_status_staff_and_group(self, viewer):
        group = Group.objects.create(name="Night shift")
        ann = UserFactory(status="suspended")
        bob = StaffFactory()
        bob.groups.add(group)

        suspended = viewer.get(LIST, {"status__exact": "suspended"})
        finance = viewer.get(LIST, {"groups__id__exact": group.pk, "is_staff__exact": 1})

        assert list(suspended.context["cl"].result_list) == [ann]
        assert list(finance.context["cl"].result_list) == [bob]

    def test_costs_the_same_whatever_its_length(self, viewer, django_assert_num_queries):
        UserFactory.create_batch(2)
        with django_assert_num_queries(8):
            viewer.get(LIST)

        UserFactory.create_batch(20)
        with django_assert_num_queries(8):
            viewer.get(LIST)

    def test_is_closed_without_the_right_to_view(self):
        assert client_of(StaffFactory()).get(LIST).status_code == 403

    def test_is_closed_to_customers(self, customer):
        assert client_of(customer).get(LIST).status_code == 302


class TestAdd:
    @pytest.mark.parametrize("who", ["support", "superuser"])
    def test_makes_a_customer_with_a_password(self, request, who):
        client = request.getfixturevalue(who)
        assert client.get(ADD).status_code == 200

        answer = client.post(
            ADD,
            {
                "email": "Ann@Example.com",
                "language": "de",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        user = User.objects.get(email="ann@example.com")
        assert answer.status_code == 302
        assert answer.url == page_of(user)
        assert user.check_password(PASSWORD)
        assert (user.status, user.is_staff, user.is_superuser) == ("active", False, False)
        assert user.language == "de"

    def test_cannot_make_staff_on_the_way(self, support):
        support.post(
            ADD,
            {
                "email": "ann@example.com",
                "language": "en",
                "password1": PASSWORD,
                "password2": PASSWORD,
            }
            | {"is_staff": "on", "is_superuser": "on", "status": "pending"},
        )

        user = User.objects.get(email="ann@example.com")
        assert (user.is_staff, user.is_superuser, user.status) == (False, False, "active")

    @pytest.mark.parametrize(
        ("typed", "sentence"),
        [
            ({"email": "TAKEN@example.com"}, "There is an account with this e-mail already."),
            ({"email": "ann"}, "Enter a valid email address."),
            ({"password2": "a slip of the keys"}, "The two password fields didn’t match."),
            ({"password1": "short", "password2": "short"}, "This password is too short."),
        ],
    )
    def test_refuses(self, support, typed, sentence):
        UserFactory(email="taken@example.com")
        body = {
            "email": "ann@example.com",
            "language": "en",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }

        page = support.post(ADD, body | typed)

        assert page.status_code == 200
        assert sentence in str(page.context["adminform"].form.errors)
        assert User.objects.filter(is_staff=False).count() == 1

    def test_wants_the_right(self, viewer):
        answer = viewer.post(
            ADD,
            {
                "email": "ann@example.com",
                "language": "en",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )

        assert answer.status_code == 403
        assert not User.objects.filter(email="ann@example.com").exists()


class TestChange:
    def test_a_customers_email(self, support, customer):
        assert support.get(page_of(customer)).status_code == 200

        answer = support.post(page_of(customer), form(email="New@Example.com"))

        assert answer.status_code == 302
        customer.refresh_from_db()
        assert customer.email == "new@example.com"
        assert customer.status == "active"

    def test_a_customers_language(self, support, customer):
        answer = support.post(page_of(customer), form(language="de"))

        assert answer.status_code == 302
        customer.refresh_from_db()
        assert customer.language == "de"

    def test_refuses_a_language_that_there_is_none_in(self, support, customer):
        page = support.post(page_of(customer), form(language="fr"))

        assert page.status_code == 200
        assert "language" in page.context["adminform"].form.errors
        customer.refresh_from_db()
        assert customer.language == "en"

    def test_a_customers_details(self, support, customer):
        details = {
            "billing_details-TOTAL_FORMS": "1",
            "billing_details-0-user": str(customer.pk),
            "billing_details-0-city": "Bonn",
            "billing_details-0-country": "de",
        }

        answer = support.post(page_of(customer), form(**details))

        assert answer.status_code == 302
        row = BillingDetails.objects.get()
        assert (row.user, row.city, row.country) == (customer, "Bonn", "DE")

    def test_refuses_what_is_no_country(self, support, customer):
        details = {
            "billing_details-TOTAL_FORMS": "1",
            "billing_details-0-user": str(customer.pk),
            "billing_details-0-country": "XX",
        }

        page = support.post(page_of(customer), form(**details))

        assert page.status_code == 200
        assert "is not an ISO 3166 alpha-2 country code" in page.content.decode()
        assert not BillingDetails.objects.exists()

    def test_the_status_changes_by_the_actions_only(self, superuser, customer):
        superuser.post(page_of(customer), form(status="suspended"))

        customer.refresh_from_db()
        assert customer.status == "active"

    def test_a_viewer_changes_nothing(self, viewer, customer):
        assert viewer.get(page_of(customer)).status_code == 200

        answer = viewer.post(page_of(customer), form(email="new@example.com"))

        assert answer.status_code == 403
        customer.refresh_from_db()
        assert customer.email == "customer@example.com"

    def test_a_superuser_makes_staff(self, superuser, customer):
        group = Group.objects.create(name="Night shift")
        permission = Permission.objects.get(codename="view_user")

        answer = superuser.post(
            page_of(customer),
            form(is_staff="on", groups=[group.pk], user_permissions=[permission.pk]),
        )

        assert answer.status_code == 302
        customer.refresh_from_db()
        assert customer.is_staff
        assert list(customer.groups.all()) == [group]
        assert list(customer.user_permissions.all()) == [permission]

    def test_nobody_else_does(self, support, customer):
        group = Group.objects.create(name="Night shift")
        permission = Permission.objects.get(codename="view_user")

        support.post(
            page_of(customer),
            form(
                email="new@example.com",
                is_staff="on",
                is_superuser="on",
                groups=[group.pk],
                user_permissions=[permission.pk],
            ),
        )

        customer.refresh_from_db()
        assert customer.email == "new@example.com"  # it was taken, but for the rights
        assert not customer.is_staff
        assert not customer.is_superuser
        assert not customer.groups.exists()
        assert not customer.user_permissions.exists()

    @pytest.mark.parametrize("email", ["support@example.com", "super@example.com"])
    def test_staff_are_out_of_reach_for_whoever_is_no_superuser(self, support, superuser, email):
        user = User.objects.get(email=email)
        page = support.get(page_of(user))
        assert page.status_code == 200
        assert user.password not in page.content.decode()

        answer = support.post(
            page_of(user), form(email="mine@example.com", is_superuser="on", is_staff="on")
        )

        assert answer.status_code == 403
        user.refresh_from_db()
        assert user.email == email
        assert user.is_superuser == (email == "super@example.com")

    def test_a_superuser_without_the_staff_mark_is_out_of_reach_too(self, support):
        user = UserFactory(is_superuser=True)

        answer = support.post(page_of(user), form(email="mine@example.com"))

        assert answer.status_code == 403

    def test_nobody_is_deleted(self, superuser, customer):
        answer = superuser.post(
            reverse("admin:accounts_user_delete", args=[customer.pk]), {"post": "yes"}
        )

        assert answer.status_code == 403
        superuser.post(LIST, {"action": "delete_selected", "_selected_action": [customer.pk]})
        assert User.objects.filter(pk=customer.pk).exists()


class TestPassword:
    def body(self, password=PASSWORD):
        return {"password1": password, "password2": password}

    def test_of_a_customer_ends_their_sessions(self, support, customer):
        sessions.open(user=customer, now=customer.created_at)
        assert support.get(password_page_of(customer)).status_code == 200

        answer = support.post(password_page_of(customer), self.body())

        assert answer.status_code == 302
        customer.refresh_from_db()
        assert customer.check_password(PASSWORD)
        assert Session.objects.get().ended_at is not None

    def test_is_checked(self, support, customer):
        page = support.post(password_page_of(customer), self.body("short"))

        assert page.status_code == 200
        customer.refresh_from_db()
        assert customer.check_password("a long password")

    def test_a_superuser_stays_in_with_their_own_new_one(self, superuser):
        user = User.objects.get(email="super@example.com")

        superuser.post(password_page_of(user), self.body())

        assert superuser.get(LIST).status_code == 200

    def test_of_staff_is_for_superusers(self, support, superuser):
        colleague = StaffFactory()

        refused = support.post(password_page_of(colleague), self.body())
        colleague.refresh_from_db()
        assert refused.status_code == 403
        assert colleague.check_password("a long password")

        superuser.post(password_page_of(colleague), self.body())
        colleague.refresh_from_db()
        assert colleague.check_password(PASSWORD)

    def test_wants_the_right(self, viewer, customer):
        answer = viewer.post(password_page_of(customer), self.body())

        assert answer.status_code == 403
        customer.refresh_from_db()
        assert customer.check_password("a long password")


class TestRegistration:
    def test_users_and_groups_look_like_the_rest_of_the_admin(self):
        assert isinstance(admin.site._registry[User], ModelAdmin)
        assert isinstance(admin.site._registry[Group], ModelAdmin)
