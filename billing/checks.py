"""What must be right in the settings before anything is served."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError


@register()
def webhook_secrets(**_options: Any) -> list[CheckMessage]:
    """A secret that cannot be read would refuse every payment notification."""
    return [
        Error(
            f"BILLING_WEBHOOK_SECRETS: secret number {position} is not “whsec_” and base64.",
            id="billing.E001",
        )
        for position, secret in enumerate(settings.BILLING_WEBHOOK_SECRETS, start=1)
        if not _is_readable(secret)
    ]


def _is_readable(secret: str) -> bool:
    try:
        Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):  # binascii.Error is a ValueError
        return False
    return secret.startswith("whsec_")
