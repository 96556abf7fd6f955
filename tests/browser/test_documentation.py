"""The description of the API, for people."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_calls_can_be_tried_out_on_the_page(visitor):
    visitor.open("/api/v1/docs")

    visitor.page.locator("#operations-health-health_retrieve").click()
    visitor.page.get_by_role("button", name="Try it out").click()
    visitor.page.get_by_role("button", name="Execute").click()
    answer = visitor.page.locator(".live-responses-table .response .response-col_description")
    expect(answer).to_contain_text("vbwd-api")
    visitor.keep_screenshot("documentation")


def test_a_script_that_was_put_into_a_page_does_not_run(visitor, staff):
    visitor.sign_in(staff("Support"))

    visitor.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.wasRun = true";
            document.body.append(script);
            const picture = document.createElement("div");
            picture.innerHTML = '<img src="data:," onerror="window.wasRun = true">';
            document.body.append(picture);
        }"""
    )
    visitor.page.wait_for_timeout(200)

    assert visitor.page.evaluate("window.wasRun") is None
    refused = [fault for fault in visitor.faults if "Content Security Policy" in fault]
    assert len(refused) == 2
    visitor.faults.clear()
