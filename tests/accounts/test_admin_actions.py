import pytest
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from accounts.models import Session, User
from accounts.services import sessions
from tests.accounts.browsers import client_of
from tests.factories import StaffFactory, UserFactory
from tests.threads import overtaken

LIST = reverse("admin:accounts_user_changelist")
GROUPS = reverse("admin:auth_group_changelist")

pytestmark = pytest.mark.django_db


def act(client, action, *users):
    return client.post(
        LIST, {"action": action, "_selected_action": [user.pk for user in users]}, follow=True
    )


def messages(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


class TestActions:
    def test_suspend_and_activate(self, support):
        ann, bob = UserFactory(), UserFactory(status="pending")
        sessions.open(user=ann, now=ann.created_at)

        page = act(support, "suspend", ann, bob)

        assert messages(page) == ["Accounts made suspended: 2."]
        assert set(User.objects.filter(is_staff=False).values_list("status", flat=True)) == {
            "suspended"
        }
        assert Session.objects.get().ended_at is not None

        page = act(support, "activate", ann)

        assert messages(page) == ["Accounts made active: 1."]
        ann.refresh_from_db()
        assert ann.status == "active"

    def test_say_which_account_they_left_alone_and_why(self, support):
        ann, bob = UserFactory(email="ann@example.com", status="deleted"), UserFactory()

        page = act(support, "suspend", ann, bob)

        assert sorted(messages(page)) == [
            "Accounts made suspended: 1.",
            "ann@example.com: The account is closed for good.",
        ]
        ann.refresh_from_db()
        assert ann.status == "deleted"

    @pytest.mark.parametrize("action", ["suspend", "activate", "close"])
    def test_want_the_right(self, viewer, action):
        customer = UserFactory(status="pending")

        act(viewer, action, customer)

        customer.refresh_from_db()
        assert customer.status == "pending"

    def test_close_wants_the_right_to_delete(self, support, customer):
        act(support, "close", customer)

        customer.refresh_from_db()
        assert customer.status == "active"

    def test_close(self, customer):
        closer = StaffFactory(permissions=["accounts.view_user", "accounts.delete_user"])

        page = act(client_of(closer), "close", customer)

        assert messages(page) == ["Accounts made closed: 1."]
        customer.refresh_from_db()
        assert customer.status == "deleted"

    def test_staff_are_suspended_by_superusers_only(self, support, superuser):
        colleague = StaffFactory(email="colleague@example.com")

        page = act(support, "suspend", colleague)
        assert messages(page) == ["colleague@example.com: only a superuser can change staff."]
        colleague.refresh_from_db()
        assert colleague.status == "active"

        act(superuser, "suspend", colleague)
        colleague.refresh_from_db()
        assert colleague.status == "suspended"

    def test_nobody_shuts_themselves_out(self, superuser):
        me = User.objects.get()

        page = act(superuser, "suspend", me)

        assert messages(page) == ["super@example.com: this is you."]
        me.refresh_from_db()
        assert me.status == "active"

    def test_who_did_it_is_kept(self, support, customer):
        act(support, "suspend", customer)

        page = support.get(reverse("admin:accounts_user_history", args=[customer.pk]))

        assert "Made suspended." in page.content.decode()
        assert "support@example.com" in page.content.decode()

    def test_a_suspended_colleague_is_out_at_the_next_click(self, support):
        User.objects.update(status="suspended")

        assert support.get(LIST).status_code == 302


class TestGroups:
    def test_belong_to_superusers(self, superuser):
        assert superuser.get(GROUPS).status_code == 200

        answer = superuser.post(reverse("admin:auth_group_add"), {"name": "Night shift"})

        assert answer.status_code == 302
        assert Group.objects.filter(name="Night shift").exists()

    def test_nobody_gives_their_own_group_more(self):
        group = Group.objects.create(name="Night shift")
        group.permissions.set(
            Permission.objects.filter(content_type__app_label="auth", content_type__model="group")
        )
        member = StaffFactory()
        member.groups.add(group)
        client = client_of(member)
        before = set(group.permissions.all())

        page = client.get(reverse("admin:auth_group_change", args=[group.pk]))
        answers = [
            client.post(
                reverse("admin:auth_group_change", args=[group.pk]),
                {"name": "Day shift", "permissions": [Permission.objects.first().pk]},
            ),
            client.post(reverse("admin:auth_group_add"), {"name": "Mine"}),
            client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}),
        ]

        assert page.status_code == 200
        assert [answer.status_code for answer in answers] == [403, 403, 403]
        assert set(group.permissions.all()) == before
        assert Group.objects.get(pk=group.pk).name == "Night shift"
        assert not Group.objects.filter(name="Mine").exists()


@pytest.mark.django_db(transaction=True)
class TestWhoJoinsTheStaffMeanwhile:
    """Is out of reach from then on: what was read before does not count."""

    @pytest.fixture
    def ann(self):
        return UserFactory(email="ann@example.com")

    def joins(self, ann):
        return lambda: User.objects.filter(pk=ann.pk).update(is_staff=True)

    @pytest.mark.parametrize("action", ["suspend", "activate", "close"])
    def test_is_left_alone_by_the_actions(self, ann, action):
        closer = client_of(
            StaffFactory(
                permissions=["accounts.view_user", "accounts.change_user", "accounts.delete_user"]
            )
        )

        page = overtaken(lambda: act(closer, action, ann), by=self.joins(ann))

        assert messages(page) == ["ann@example.com: only a superuser can change staff."]
        ann.refresh_from_db()
        assert ann.status == "active"

    def test_keeps_their_email(self, ann, support):
        typed = {
            "email": "thief@example.com",
            "billing_details-TOTAL_FORMS": "0",
            "billing_details-INITIAL_FORMS": "0",
        }
        page = reverse("admin:accounts_user_change", args=[ann.pk])

        answer = overtaken(lambda: support.post(page, typed), by=self.joins(ann))

        assert answer.status_code == 403
        ann.refresh_from_db()
        assert ann.email == "ann@example.com"

    def test_keeps_their_password(self, ann, support):
        typed = dict.fromkeys(("password1", "password2"), "quite another password")
        page = reverse("admin:auth_user_password_change", args=[ann.pk])

        answer = overtaken(lambda: support.post(page, typed), by=self.joins(ann))

        assert answer.status_code == 403
        ann.refresh_from_db()
        assert ann.check_password("a long password")
