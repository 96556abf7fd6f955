"""What must be right in the settings before anything is served."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_PICTURES = (".svg", ".png", ".jpg", ".jpeg")


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


@register()
def seller(**_options: Any) -> list[CheckMessage]:
    """A slip here would send customers' money astray, or let every invoice fail."""
    found: list[CheckMessage] = []
    iban, logo = settings.BILLING_SELLER_IBAN, settings.BILLING_SELLER_LOGO
    if iban and not _is_iban(iban):
        found.append(Error("BILLING_SELLER_IBAN: its check digits do not fit.", id="billing.E002"))
    if logo and (Path(logo).suffix.lower() not in _PICTURES or not Path(logo).is_file()):
        found.append(
            Error(
                "BILLING_SELLER_LOGO is not the path of an SVG, PNG or JPEG file.",
                id="billing.E003",
            )
        )
    return found


@register(deploy=True)
def seller_is_named(**_options: Any) -> list[CheckMessage]:
    """The law wants the seller's name and address (Directive 2006/112/EC, Art. 226(5))."""
    if settings.BILLING_SELLER_ADDRESS:
        return []
    return [
        checks.Warning(
            "BILLING_SELLER_NAME and BILLING_SELLER_ADDRESS are to say whose invoices these are.",
            id="billing.W001",
        )
    ]


def _is_iban(iban: str) -> bool:
    """ISO 13616: the check digits make the number 1 modulo 97, letters read as 10 to 35."""
    if not _IBAN.fullmatch(iban):
        return False
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1


def _is_readable(secret: str) -> bool:
    try:
        Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):  # binascii.Error is a ValueError
        return False
    return secret.startswith("whsec_")
