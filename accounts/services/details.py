"""What goes on somebody's next invoice."""

from __future__ import annotations

from functools import cache

from babel import Locale
from django.db import transaction

from accounts.models import BillingDetails, User
from accounts.services.erasure import AccountErased
from config.errors import DomainError

# What CLDR has names for and is no country's code: ISO 3166 reserves some for unions and remote
# parts of countries, and CLDR invents some. XK stays: Kosovo does business under it.
_RESERVED = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "TA", "UN"}
_INVENTED = {"QO", "XA", "XB", "ZZ"}


class UnknownCountry(DomainError):
    code = "unknown_country"

    def __init__(self, text: str) -> None:
        sentence = f"{text!r:.20} is not an ISO 3166 alpha-2 country code."
        super().__init__(f"country: {sentence}")
        self.fields = {"country": [sentence]}


@cache
def countries() -> frozenset[str]:
    """The ISO 3166 alpha-2 codes of countries (CLDR)."""
    territories = {str(code) for code in Locale("en").territories}  # "001" is the world
    codes = {code for code in territories if len(code) == 2 and code.isalpha()}
    return frozenset(codes - _RESERVED - _INVENTED)


def country_code(text: str) -> str:
    """
    Return the code in upper case; an empty one stays empty.

    :raises UnknownCountry: if it is no country's
    """
    if text and (not text.isascii() or text.upper() not in countries()):
        raise UnknownCountry(text)
    return text.upper()


@transaction.atomic
def update_own(*, user: User, language: str | None = None, **given: str) -> BillingDetails:
    """
    ``update``, by the customer, and the language of the mails to them.

    :param language: one of ``Language``; None leaves it
    :raises AccountErased: if they were forgotten meanwhile
    """
    if User.objects.lock(user.pk).erased_at is not None:
        raise AccountErased("This account is erased.")
    if language is not None:
        user.language = language
        user.save(update_fields=["language"])
    own = update(user=user, **given)
    own.user = user
    return own


def update(*, user: User, **given: str) -> BillingDetails:
    """
    Replace the named fields, and leave the others as they are.

    One statement, whether or not there is a row: of two at once, each changes only its own.

    :param given: columns of ``BillingDetails``, already checked for their length
    :raises UnknownCountry: if ``country`` is no ISO 3166 alpha-2 code
    """
    if "country" in given:
        given["country"] = country_code(given["country"])
    row = BillingDetails(user=user, **given)
    if given:
        BillingDetails.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["user"], update_fields=list(given)
        )
    else:
        BillingDetails.objects.bulk_create([row], ignore_conflicts=True)
    return BillingDetails.objects.get(user=user)
