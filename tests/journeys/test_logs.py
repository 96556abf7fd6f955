"""What a day leaves in the log, down to the last detail, has no secret in it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from django.test import Client

from config import logs
from tests import log_secrets
from tests.factories import PlanFactory, StaffFactory

EMAIL = "ada.lovelace@example.com"
PASSWORD = "correct horse battery"
OTHER_PASSWORD = "another long password"
CARD = "4242 4242 4242 4242"
OURS = ("accounts", "billing", "catalog", "config")


@pytest.fixture
def log(settings) -> Iterator[io.StringIO]:
    """Everything that anybody logs, as production writes it."""
    settings.LOG_REQUESTS = True
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(form="json"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.django_db
def test_a_day_with_everything_that_goes_wrong(
    api, webhook, settings, log, caplog, django_capture_on_commit_callbacks
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1  # where nobody listens
    caplog.set_level(logging.DEBUG)
    plan = PlanFactory()

    made = api.post("/api/v1/auth/register", {"email": EMAIL, "password": PASSWORD}).json()
    api.post("/api/v1/auth/register", {"email": EMAIL, "password": PASSWORD})
    api.post("/api/v1/auth/login", {"email": EMAIL, "password": OTHER_PASSWORD})
    with django_capture_on_commit_callbacks(execute=True):
        api.post("/api/v1/auth/forgot-password", {"email": EMAIL})
    api.post("/api/v1/auth/reset-password", {"token": "abcdefgh", "password": OTHER_PASSWORD})
    api.get(f"/api/v1/nothing/{EMAIL}/{CARD}?token={made['token']}")
    api.get("/api/v1/user/profile", HTTP_AUTHORIZATION=f"Bearer {made['token']}x")
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {made['token']}")
    bought = api.post("/api/v1/user/checkout", {"plan_id": str(plan.pk)}).json()
    api.post(f"/api/v1/user/invoices/{bought['invoice']['id']}/pay")
    api.post("/api/v1/user/checkout", {"plan_id": EMAIL, "card": CARD})
    api.credentials()
    api.post("/api/v1/auth/refresh", {"refresh_token": made["refresh_token"]})
    api.post("/api/v1/auth/refresh", {"refresh_token": made["refresh_token"]})
    webhook({"invoice_id": EMAIL, "payment_reference": CARD, "amount": "1.00", "currency": "USD"})
    webhook({"invoice_id": EMAIL}, secret="whsec_bm90LW91cnMtMDEyMzQ1Njc4OWFiY2RlZg==")
    member = StaffFactory(email="grace.hopper@example.com")
    browser = Client()
    browser.post("/admin/login/", {"username": member.email, "password": OTHER_PASSWORD})
    browser.get(f"/admin/billing/invoice/?q={EMAIL}")

    secrets = [PASSWORD, OTHER_PASSWORD, made["token"], made["refresh_token"], EMAIL, CARD]
    text = log.getvalue()
    assert text.count('"event": "request"') >= 15
    assert "ConnectionRefusedError" in text
    assert log_secrets.find(text, known=secrets) == []
    # What we write ourselves has no need of the net.
    for record in caplog.records:
        if record.name.split(".")[0] in OURS and record.name != "config.middleware":
            assert log_secrets.find(record.getMessage(), known=secrets) == [], record.name
