"""
What a log must not have in it. For any test that has a log: ``assert find(text) == []``.

Written without a look at ``config.redaction``: what that misses is to be found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_BEFORE = r"(?<![A-Za-z0-9])"
_NAMES = r"(?:password|passwd|secret|token|authorization|cookie|sessionid|csrf\w*|api_?key)"
KINDS = {
    "e-mail": re.compile(r"[^\s@<>\"'(){}\[\],;:=/\\…*]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    "JSON Web Token": re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+"),
    "credentials": re.compile(r"(?i)\b(?:bearer|basic)\s+(?!\[)[A-Za-z0-9._~+/=-]{8,}"),
    "webhook secret": re.compile(r"whsec_[A-Za-z0-9+/=]+"),
    "password hash": re.compile(r"\b(?:argon2|pbkdf2_sha\d+|bcrypt|scrypt|md5)\$\S+"),
    "address with password": re.compile(r"[a-z0-9+]+://[^\s/:@]*:(?!\[)[^\s/@]+@"),
    "named secret": re.compile(
        rf"(?i){_NAMES}\\?[\"']?\s*[:=]\s*(?!\\?[\"']?\[hidden\])\\?[\"']?[^\s\"',;}}\\]{{3,}}"
    ),
}
_DIGITS = re.compile(rf"{_BEFORE}(?<![.-])\d(?:(?:[ -]|%20)?\d){{12,18}}(?![A-Za-z0-9-])")


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    text: str
    line: int


def find(log: str, *, known: Iterable[str] = ()) -> list[Finding]:
    """
    Return whatever in the log should not be there.

    :param known: secrets of the run itself, which may not occur anywhere: passwords, tokens, keys
    """
    secrets = [secret for secret in known if secret]
    found = []
    for number, line in enumerate(log.splitlines(), 1):
        for kind, pattern in KINDS.items():
            found += [Finding(kind, hit.group(), number) for hit in pattern.finditer(line)]
        found += [
            Finding("card number", hit.group(), number)
            for hit in _DIGITS.finditer(line)
            if _is_card(hit.group())
        ]
        found += [Finding("known secret", secret, number) for secret in secrets if secret in line]
    return found


def _is_card(text: str) -> bool:
    """By its groups, its first digit and its check digit."""
    text = text.replace("%20", " ")
    groups = re.split(r"[ -]", text)
    if len(groups) > 1 and not all(3 <= len(group) <= 7 for group in groups):
        return False  # a date, a number of an invoice
    digits = [int(sign) for sign in text if sign.isdigit()]
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = digit * 2 if place % 2 else digit
        total += value - 9 if value > 9 else value
    return digits[0] in (2, 3, 4, 5, 6) and total % 10 == 0
