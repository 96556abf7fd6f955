"""The staff's groups: what each may do, and what it sees of the admin."""

import re

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from tests.factories import PlanFactory, StaffFactory, UserFactory

CATALOGUE = {
    "catalog.view_plan",
    "catalog.add_plan",
    "catalog.change_plan",
    "catalog.delete_plan",
    "catalog.view_tokenbundle",
    "catalog.add_tokenbundle",
    "catalog.change_tokenbundle",
    "catalog.delete_tokenbundle",
    "catalog.view_addon",
    "catalog.add_addon",
    "catalog.change_addon",
    "catalog.delete_addon",
    "catalog.view_price",
    "catalog.add_price",
    "catalog.change_price",
    "catalog.delete_price",
    "billing.view_dashboard",
    "billing.add_coupon",
    "billing.change_coupon",
    "billing.delete_coupon",
    "billing.view_coupon",
    "billing.add_couponamount",
    "billing.change_couponamount",
    "billing.delete_couponamount",
    "billing.view_couponamount",
    "billing.view_couponredemption",
}
FINANCE = {
    "billing.view_subscription",
    "billing.view_addonsubscription",
    "billing.view_tokenbundlepurchase",
    "billing.view_invoice",
    "billing.view_invoicelineitem",
    "billing.view_invoiceseries",
    "billing.view_payment",
    "billing.view_tokenaccount",
    "billing.view_tokentransaction",
    "billing.view_event",
    "catalog.view_plan",
    "catalog.view_tokenbundle",
    "catalog.view_addon",
    "catalog.view_price",
    "accounts.view_user",
    "accounts.view_billingdetails",
    "billing.take_payment",
    "billing.void_invoice",
    "billing.refund_invoice",
    "billing.send_invoice",
    "billing.view_dashboard",
    "billing.view_report",
    "billing.retry_parked",
    "billing.view_coupon",
    "billing.view_couponamount",
    "billing.view_couponredemption",
    "billing.view_creditaccount",
    "billing.view_creditentry",
    "billing.view_mail",
    "billing.view_paymentattempt",
    "billing.view_subscriptionchange",
    "billing.view_testclock",
}
SUPPORT = {
    "accounts.view_user",
    "accounts.change_user",
    "accounts.export_user",
    "accounts.view_billingdetails",
    "accounts.change_billingdetails",
    "billing.view_subscription",
    "billing.view_addonsubscription",
    "billing.view_tokenbundlepurchase",
    "billing.view_invoice",
    "billing.view_invoicelineitem",
    "billing.view_payment",
    "billing.view_tokenaccount",
    "billing.view_tokentransaction",
    "billing.view_event",
    "billing.adjust_tokens",
    "accounts.add_user",
    "billing.add_subscription",
    "billing.change_subscription",
    "billing.send_invoice",
    "billing.view_dashboard",
    "billing.retry_parked",
    "billing.view_coupon",
    "billing.view_couponamount",
    "billing.view_couponredemption",
    "billing.view_creditaccount",
    "billing.view_creditentry",
    "billing.view_mail",
    "billing.view_paymentattempt",
    "billing.view_subscriptionchange",
    "billing.view_testclock",
}

BILLING_LISTS = {
    "/admin/billing/invoice/",
    "/admin/billing/payment/",
    "/admin/billing/subscription/",
    "/admin/billing/addonsubscription/",
    "/admin/billing/tokenbundlepurchase/",
    "/admin/billing/tokenaccount/",
    "/admin/billing/creditaccount/",
    "/admin/billing/event/",
    "/admin/billing/mail/",
}
CATALOGUE_LISTS = {
    "/admin/catalog/plan/",
    "/admin/catalog/tokenbundle/",
    "/admin/catalog/addon/",
}
COUPON_LISTS = {"/admin/billing/coupon/", "/admin/billing/couponredemption/"}
USERS = "/admin/accounts/user/"
GROUPS = "/admin/auth/group/"
MONTH = "/admin/reports/month/"
FAILED_SIGN_INS = "/admin/axes/accessattempt/"
SECTIONS = {
    "Catalogue": {*CATALOGUE_LISTS, *COUPON_LISTS},
    "Finance": {*BILLING_LISTS, *CATALOGUE_LISTS, *COUPON_LISTS, USERS, MONTH},
    "Support": {*BILLING_LISTS, *COUPON_LISTS, USERS},
}


def permissions_of(group: Group) -> set[str]:
    return {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in group.permissions.select_related("content_type")
    }


def links(page) -> set[str]:
    """The lists that a page of the admin offers, in its side bar and in its middle."""
    return set(re.findall(r'href="(/admin/[a-z]+/[a-z]+/)"', page.content.decode()))


@pytest.fixture
def member(roles):
    """``member("Finance")``: the browser of somebody in that group."""

    def sign_in(name: str) -> Client:
        staff = StaffFactory()
        staff.groups.add(roles[name])
        client = Client()
        client.force_login(staff)
        return client

    return sign_in


@pytest.mark.django_db
class TestGroups:
    def test_catalogue_has_exactly_these_permissions(self, roles):
        assert permissions_of(roles["Catalogue"]) == CATALOGUE

    def test_finance_has_exactly_these_permissions(self, roles):
        assert permissions_of(roles["Finance"]) == FINANCE

    def test_support_has_exactly_these_permissions(self, roles):
        assert permissions_of(roles["Support"]) == SUPPORT

    def test_there_are_no_others(self, roles):
        assert set(Group.objects.values_list("name", flat=True)) == set(SECTIONS)


@pytest.mark.django_db
class TestAdmin:
    @pytest.mark.parametrize("role", SECTIONS)
    def test_offers_each_group_exactly_its_sections(self, member, role):
        index = member(role).get("/admin/")

        assert index.status_code == 200
        assert links(index) == SECTIONS[role]

    @pytest.mark.parametrize("role", SECTIONS)
    def test_opens_these_lists_and_no_others(self, member, role):
        client = member(role)

        answers = {
            path: client.get(path).status_code
            for path in {
                *(*BILLING_LISTS, *CATALOGUE_LISTS, *COUPON_LISTS),
                *(USERS, GROUPS, MONTH, FAILED_SIGN_INS),
            }
        }

        opened = {path for path, status in answers.items() if status == 200}
        assert opened == SECTIONS[role]
        assert {answers[path] for path in answers if path not in opened} == {403}

    def test_shows_a_superuser_all_of_it(self, db):
        client = Client()
        client.force_login(UserFactory(is_staff=True, is_superuser=True))

        index = client.get("/admin/")

        assert links(index) == {
            *BILLING_LISTS,
            *CATALOGUE_LISTS,
            *COUPON_LISTS,
            USERS,
            GROUPS,
            MONTH,
            FAILED_SIGN_INS,
        }

    def test_shows_a_customer_nothing(self, customer):
        client = Client()
        client.force_login(customer)

        answers = [client.get(path) for path in ["/admin/", *BILLING_LISTS, *CATALOGUE_LISTS]]

        assert {answer.status_code for answer in answers} == {302}
        assert {answer.url.split("?")[0] for answer in answers} == {"/admin/login/"}

    def test_lets_finance_look_at_a_plan_and_not_change_it(self, member):
        plan = PlanFactory(name="Pro")
        client = member("Finance")
        page = reverse("admin:catalog_plan_change", args=[plan.pk])

        shown, refused = client.get(page), client.post(page, {"name": "Free"})

        assert shown.status_code == 200
        assert refused.status_code == 403
        plan.refresh_from_db()
        assert plan.name == "Pro"

    @pytest.mark.parametrize("role", ["Catalogue", "Finance"])
    def test_lets_only_support_suspend_a_customer(self, member, customer, role):
        suspend = {"action": "suspend", "_selected_action": [str(customer.pk)]}

        member(role).post(USERS, suspend)
        customer.refresh_from_db()
        status_before = customer.status
        member("Support").post(USERS, suspend)
        customer.refresh_from_db()

        assert status_before == "active"
        assert customer.status == "suspended"


@pytest.mark.django_db
class TestSideBar:
    """Each entry is marked where one is."""

    def test_marks_the_list_of_payments(self, member):
        page = member("Finance").get("/admin/billing/payment/")

        assert marked(page) == ["Payments"]

    @pytest.mark.parametrize("role", ["Finance", "Support"])
    def test_marks_what_waits_to_be_resolved(self, member, role):
        page = member(role).get("/admin/to-resolve/")

        assert marked(page) == ["To resolve"]


def marked(page) -> list[str]:
    return [
        entry["title"]
        for group in page.context["sidebar_navigation"]
        for entry in group["items"]
        if entry["active"]
    ]
