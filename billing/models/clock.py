"""Clocks that can be turned: for development and tests, one customer at a time."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class TestClock(models.Model):
    """
    A customer whose time is not the world's: it stands until it is turned.

    Never in production (``BILLING_TEST_CLOCKS``). The billing of everybody else leaves them alone.
    """

    class Behaviour(models.TextChoices):
        PAYS = "pays", "always pays"
        FAILS_TWICE = "fails_twice", "fails twice, then pays"
        NEVER_PAYS = "never_pays", "never pays"

    __test__ = False  # pytest takes any class whose name begins like that for a test

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="test_clock",
    )
    now_at = models.DateTimeField()
    behaviour = models.CharField(max_length=12, choices=Behaviour.choices, default=Behaviour.PAYS)

    def __str__(self) -> str:
        return f"{self.now_at:%Y-%m-%d %H:%M} ({self.get_behaviour_display()})"
