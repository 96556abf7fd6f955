"""Fixtures for all tests. Shared: add to the end."""

from __future__ import annotations

import gc
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.utils import timezone
from rest_framework.test import APIClient
from standardwebhooks import Webhook

from accounts.models import User
from accounts.services import sessions
from tests import migrated
from tests.factories import UserFactory


@pytest.fixture
def held_by_another() -> Callable[[Model], AbstractContextManager[None]]:
    """
    ``with held_by_another(row):`` another connection holds the row, and who waits fails soon.

    ``FOR NO KEY UPDATE``, as ``lock()`` takes it: a foreign key's check does not wait for that,
    so that only a lock does. Wants ``django_db(transaction=True)``.
    """

    @contextmanager
    def hold(row: Model) -> Iterator[None]:
        other = connection.copy()
        other.set_autocommit(False)
        table = connection.ops.quote_name(row._meta.db_table)
        key = connection.ops.quote_name(row._meta.pk.column)
        try:
            with other.cursor() as cursor:
                cursor.execute(
                    f"SELECT 1 FROM {table} WHERE {key} = %s FOR NO KEY UPDATE", [row.pk]
                )
                assert cursor.fetchone(), "There is no such row."
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            yield
        finally:
            other.rollback()
            other.close()
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")

    return hold


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """It is noon on 1 March 2026, UTC, until ``clock.move_to(…)``."""
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def api() -> APIClient:
    """A client that is not signed in."""
    return APIClient()


@pytest.fixture
def customer() -> User:
    return UserFactory(email="customer@example.com")


@pytest.fixture
def signed_in() -> Callable[[User], APIClient]:
    """``signed_in(user)``: a client with an access token of a session of the user's."""

    def sign_in(user: User) -> APIClient:
        tokens = sessions.open(user=user, now=timezone.now())
        return APIClient(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")

    return sign_in


@pytest.fixture
def webhook(api: APIClient) -> Callable[..., Any]:
    """
    ``webhook({"invoice_id": …})``: a payment notification as a provider signs and posts it.

    ``signed_at`` and ``secret`` are those of the signature; ``headers`` replace its own, and a
    body of bytes is sent as it is.
    """

    def post(
        notice: Any,
        *,
        signed_at: datetime | None = None,
        secret: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        body = notice if isinstance(notice, bytes) else json.dumps(notice).encode()
        signed_at = signed_at or timezone.now()
        signer = Webhook(secret or settings.BILLING_WEBHOOK_SECRETS[0])
        signature = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(signed_at.timestamp())),
            "webhook-signature": signer.sign("msg_1", signed_at, body.decode("utf-8", "replace")),
        }
        return api.post(
            "/api/v1/webhooks/payment",
            body,
            content_type="application/json",
            headers={**signature, **(headers or {})},
        )

    return post


@pytest.fixture
def roles(db: None) -> dict[str, Group]:
    """The groups of staff by name, made by the migrations: a test before may have emptied them."""
    migration = import_module("billing.migrations.0003_roles")
    editor = SimpleNamespace(connection=connection)
    migration.make_roles(apps, editor)
    import_module("billing.migrations.0005_roles_of_the_back_office").extend_roles(apps, editor)
    import_module("billing.migrations.0008_periods_of_what_runs").extend_roles(apps, editor)
    import_module("billing.migrations.0009_export_of_customers").extend_roles(apps, editor)
    return {group.name: group for group in Group.objects.filter(name__in=migration.ROLES)}


@pytest.fixture
def books_are_clean(transactional_db) -> Iterator[None]:
    """After the test, every rule over the whole database holds."""
    yield
    call_command("verify_books")


def pytest_configure() -> None:
    """A shell starts what runs in the background with this signal ignored, and so its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: Any
) -> None:
    """Pytest-django asks for this before it makes the database."""
    with django_db_blocker.unblock():
        migrated.be_copied()


def pytest_collection_finish() -> None:
    """What was imported stays: a collector that looks through all of it again finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
