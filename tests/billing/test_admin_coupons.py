"""Coupons in the admin."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import Coupon, CouponRedemption, Event
from billing.services import coupon_steps
from tests.billing.admin_pages import browser_of, list_of, page_of, text_of
from tests.billing.purchases import subscribe
from tests.factories import PlanFactory, StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
ADD = "/admin/billing/coupon/add/"
RIGHTS = ["add", "change", "delete", "view"]


@pytest.fixture
def staff():
    rights = [
        f"billing.{right}_{model}" for right in RIGHTS for model in ("coupon", "couponamount")
    ]
    return browser_of(StaffFactory(permissions=[*rights, "billing.view_couponredemption"]))


def told(*amounts: tuple[str, str], **columns) -> dict:
    form = {
        "code": "SPRING",
        "name": "Spring",
        "kind": "percent",
        "percent": "20",
        "duration": "once",
        "periods": "",
        "max_redemptions": "",
        "max_per_customer": "1",
        "valid_until": "",
        "is_active": "on",
        "amounts-TOTAL_FORMS": str(len(amounts)),
        "amounts-INITIAL_FORMS": "0",
    }
    for number, (currency, amount) in enumerate(amounts):
        form |= {f"amounts-{number}-currency": currency, f"amounts-{number}-amount": amount}
    return form | columns


def redeemed(coupon: Coupon) -> CouponRedemption:
    subscription = subscribe(
        UserFactory(email="ada@example.com"), plan=PlanFactory(), now=timezone.now()
    )
    return coupon_steps.put_on(subscription=subscription, code=coupon.code, now=timezone.now())


@pytest.fixture
def coupon():
    return Coupon.objects.create(code="HALF", name="Half", percent=50, duration="forever")


class TestAdd:
    def test_a_percentage(self, staff):
        assert staff.post(ADD, told()).status_code == 302

        made = Coupon.objects.get()
        assert (made.code, made.percent, made.duration) == ("SPRING", Decimal(20), "once")

    def test_for_some_plans_and_until_a_day(self, staff):
        pro, _other = PlanFactory(name="Pro"), PlanFactory(name="Other")

        staff.post(ADD, told(valid_until="2031-05-01T18:30", plans=[str(pro.pk)]))

        coupon = Coupon.objects.get()
        assert coupon.valid_until == datetime(2031, 5, 1, 18, 30, tzinfo=UTC)
        assert list(coupon.plans.all()) == [pro]
        page = staff.get(page_of(coupon)).content.decode()
        assert 'value="2031-05-01T18:30"' in page

    def test_an_amount_in_two_currencies(self, staff):
        amounts = ("USD", "5.00"), ("JPY", "700")

        staff.post(ADD, told(*amounts, kind="amount", percent=""))

        made = {
            row.currency: str(row.amount.normalize()) for row in Coupon.objects.get().amounts.all()
        }
        assert made == {"USD": "5", "JPY": "7E+2"}

    @pytest.mark.parametrize(
        ("columns", "amounts", "said"),
        [
            ({"percent": ""}, (), "More than 0, and at most 100."),
            ({"percent": "0"}, (), "More than 0, and at most 100."),
            ({"percent": "100.01"}, (), "less than or equal to 100"),
            ({"percent": "x"}, (), "Enter a number."),
            ({"kind": "amount"}, (("USD", "5"),), "Leave this empty: it takes off an amount."),
            ({"kind": "amount", "percent": ""}, (), "One amount at least."),
            ({}, (("USD", "5"),), "It takes off a percentage: there are no amounts."),
            ({"kind": "amount", "percent": ""}, (("JPY", "1.5"),), "too many decimal places"),
            ({"kind": "amount", "percent": ""}, (("USD", "-5"),), "More than nothing."),
            (
                {"kind": "amount", "percent": ""},
                (("USD", "5"), ("USD", "6")),
                "duplicate",
            ),
            ({"duration": "periods"}, (), "For how many periods?"),
            ({"periods": "3"}, (), "Leave this empty, or choose “so many periods”."),
            ({"code": "half"}, (), "There is a coupon with this code"),
            ({"code": "NO SPACES"}, (), "Letters, digits, - and _ only."),
        ],
    )
    def test_of_what_is_none(self, staff, coupon, columns, amounts, said):
        page = staff.post(ADD, told(*amounts, **columns))

        assert said in text_of(page)
        assert list(Coupon.objects.all()) == [coupon]

    def test_needs_its_permission(self):
        other = browser_of(StaffFactory(permissions=["billing.view_coupon"]))

        assert other.post(ADD, told()).status_code == 403
        assert not Coupon.objects.exists()


class TestChange:
    def test_of_what_was_redeemed_leaves_what_was_agreed(self, staff, coupon):
        redeemed(coupon)

        staff.post(
            page_of(coupon),
            told(code="OTHER", percent="99", duration="once", name="New", max_redemptions="7"),
        )

        coupon.refresh_from_db()
        assert (coupon.code, coupon.percent, coupon.duration) == ("HALF", Decimal(50), "forever")
        assert (coupon.name, coupon.max_redemptions, coupon.redeemed) == ("New", 7, 1)
        assert "1 times" in text_of(staff.get(page_of(coupon)))

    def test_leaves_what_is_redeemed_meanwhile(self, staff, coupon, monkeypatch):
        """The form is sent, and a customer redeems the coupon before it is saved."""
        original = Coupon.save

        def save(row, *args, **kwargs):
            Coupon.objects.filter(pk=row.pk).update(redeemed=5)
            original(row, *args, **kwargs)

        monkeypatch.setattr(Coupon, "save", save)
        staff.post(page_of(coupon), told(code="HALF", percent="50", duration="forever", name="New"))

        coupon.refresh_from_db()
        assert (coupon.name, coupon.redeemed) == ("New", 5)

    def test_below_what_was_redeemed(self, staff, coupon):
        Coupon.objects.filter(pk=coupon.pk).update(redeemed=3)

        page = staff.post(page_of(coupon), told(max_redemptions="2"))

        assert "It was redeemed 3 times already." in text_of(page)

    def test_is_in_its_history(self, staff, coupon):
        staff.post(page_of(coupon), told(code="HALF", percent="50", duration="forever", name="New"))

        history = text_of(staff.get(f"/admin/billing/coupon/{coupon.pk}/history/"))

        assert "Half" in history
        assert "New" in history


class TestDelete:
    def test_of_what_was_redeemed_is_refused(self, staff, coupon):
        redeemed(coupon)
        address = f"/admin/billing/coupon/{coupon.pk}/delete/"

        assert staff.post(address, {"post": "yes"}).status_code == 403
        assert Coupon.objects.exists()

    def test_of_one_that_was_not(self, staff, coupon):
        staff.post(f"/admin/billing/coupon/{coupon.pk}/delete/", {"post": "yes"})

        assert not Coupon.objects.exists()


class TestList:
    def test_shows_what_each_takes_off(self, staff, coupon):
        less = Coupon.objects.create(
            code="LESS", name="Less", kind="amount", duration="periods", periods=3
        )
        less.amounts.create(currency="USD", amount=5)
        redeemed(coupon)

        text = text_of(staff.get(list_of(Coupon)))

        assert "50 % For ever 1" in text
        assert "$5.00 3 periods 0" in text

    def test_asks_as_many_queries_for_many_as_for_few(self, staff, coupon):
        staff.get(list_of(Coupon))
        with CaptureQueriesContext(connection) as few:
            staff.get(list_of(Coupon))
        for number in range(4):
            Coupon.objects.create(code=f"C{number}", name="C", percent=5)

        with CaptureQueriesContext(connection) as many:
            staff.get(list_of(Coupon))

        assert len(many) == len(few)

    def test_gives_out_no_more_and_again(self, staff, coupon):
        chosen = {"_selected_action": [str(coupon.pk)]}

        staff.post(list_of(Coupon), {"action": "deactivate", **chosen})
        coupon.refresh_from_db()
        assert not coupon.is_active
        staff.post(list_of(Coupon), {"action": "activate", **chosen})

        coupon.refresh_from_db()
        assert coupon.is_active


class TestRedemptions:
    def test_are_found_by_coupon_and_e_mail(self, staff, coupon):
        redemption = redeemed(coupon)

        for query in ({"q": "ada@"}, {"q": "HALF"}, {"coupon__id__exact": str(coupon.pk)}):
            page = staff.get(list_of(CouponRedemption), query)
            assert list(page.context["cl"].result_list) == [redemption], query
        assert "50 %" in text_of(staff.get(page_of(redemption)))


class TestOnSubscription:
    @pytest.fixture
    def support(self):
        rights = ["billing.view_subscription", "billing.change_subscription"]
        return browser_of(StaffFactory(permissions=rights))

    @pytest.fixture
    def subscription(self):
        return subscribe(UserFactory(), plan=PlanFactory(), now=timezone.now())

    def address(self, subscription, step):
        return reverse("admin:billing_subscription_change", args=[subscription.pk]).replace(
            "change/", f"{step}/"
        )

    def test_is_put_on_and_taken_off(self, support, subscription, coupon):
        put = {"code": "half", "reason": "They asked"}
        on = support.post(self.address(subscription, "put-coupon-on"), put, follow=True)
        off = support.post(
            self.address(subscription, "take-coupon-off"), {"reason": "By mistake"}, follow=True
        )

        assert "Coupon HALF lessens the next renewal." in text_of(on)
        assert "HALF: Half, for ever" in text_of(on)
        assert "Coupon HALF lessens nothing more." in text_of(off)
        notes = Event.objects.filter(name__startswith="coupon.").order_by("id")
        assert [event.payload["note"] for event in notes] == ["They asked", "By mistake"]

    def test_that_there_is_not(self, support, subscription):
        page = support.post(
            self.address(subscription, "put-coupon-on"), {"code": "NONE", "reason": "x"}
        )

        assert "There is no such coupon." in text_of(page)
        assert not CouponRedemption.objects.exists()

    @pytest.mark.parametrize("step", ["put-coupon-on", "take-coupon-off"])
    def test_needs_its_permission(self, subscription, coupon, step):
        other = browser_of(StaffFactory(permissions=["billing.view_subscription"]))

        sent = {"code": "HALF", "reason": "x"}
        assert other.post(self.address(subscription, step), sent).status_code == 403
