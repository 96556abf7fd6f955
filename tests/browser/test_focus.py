"""Where the focus is when a page opens."""

import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Route, expect

from tests.billing.purchases import check_out
from tests.factories import PlanFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_form_s_first_field_has_it_however_late_the_page_is_shown(visitor, staff):
    invoice = check_out(UserFactory(), plan=PlanFactory(), now=NOW).invoice
    visitor.sign_in(staff("Finance"))

    def late(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    visitor.page.route("**/alpine.js", late)
    visitor.open(f"/admin/billing/invoice/{invoice.pk}/mark-paid/")
    expect(visitor.page.get_by_label("Reference")).to_be_focused()
