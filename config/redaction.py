"""
Takes out of log lines what must not stand in a log: passwords, tokens, keys, card numbers, e-mails.

Nothing here is a licence to log such: it is the net below what exceptions and libraries say.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "[hidden]"

# Every repetition has a bound, or ends at a blank: nobody makes a line slow to write.
# Names whose values are secret, however they are written down: name=…, "name": "…", name is '…'.
_HUSHED = (
    r"[\w-]{0,40}(?:password|passwd|secret(?:_?key)?|token|api_?key|authorization|cookie|session_?id"
    r"|signature|private_?key)"
)
_NAMED = re.compile(
    rf"""(?ix) (\b{_HUSHED} \\?["']? \s* [:=] \s*)
    ( \\"[^"\\]*\\" | "(?:[^"\\]|\\.)*" | '[^']*' | [^\s,;&'"}}\]]+ (?:\s+[\w.+/=~-]{{16,}})? )"""
)
_SECRET_KEY = re.compile(rf"(?i)^{_HUSHED}$")
# What a line must have in it, in lower case, for the pattern to be worth a look: most have none.
_PATTERNS = [
    # The password in an address: postgres://user:password@host.
    (
        ("://",),
        re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]*):[^\s@/]+@"),
        rf"\1:{HIDDEN}@",
    ),
    (
        ("bearer", "basic"),
        re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{8,}"),
        rf"\1 {HIDDEN}",
    ),
    (("eyj",), re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),  # a JSON Web Token
    (("whsec_",), re.compile(r"\bwhsec_[\w+/=-]+"), HIDDEN),
    (("$",), re.compile(r"\b(?:argon2|pbkdf2_\w+|md5|bcrypt\w*|scrypt)\$\S+"), HIDDEN),
    (
        ("passw", "secret", "token", "key", "authorization", "cookie", "session", "signature"),
        _NAMED,
        rf"\1{HIDDEN}",
    ),
]
_LOCAL = r"""[^\s@<>"'(),;:=/\\\[\]{}…]"""
_EMAIL = re.compile(rf"({_LOCAL}){_LOCAL}{{0,63}}@([\w-]+(?:\.[\w-]+)+)")
# 13 to 19 digits in one, or in the groups that cards show; invoice numbers have other groups.
_CARD = re.compile(
    r"(?<![\w.-])(?:[2-6]\d{12,18}|[2-6]\d{3}([ -]|%20)\d{4}\1\d{4}\1\d{1,7}"
    r"|3\d{3}([ -]|%20)\d{6}\2\d{5})(?![\w-])"
)


def redact(text: str) -> str:
    """Return the text with what is secret in it replaced, and each e-mail as ``a…@example.com``."""
    small = text.lower()
    for signs, pattern, replacement in _PATTERNS:
        if any(sign in small for sign in signs):
            text = pattern.sub(replacement, text)
    if "@" in text:
        text = _EMAIL.sub(r"\1…@\2", text)
    return _CARD.sub(_without_card, text)


def redact_value(name: str, value: Any) -> Any:
    """The same for a value with a name, and for everything that is in it."""
    if _SECRET_KEY.match(name):
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _without_card(found: re.Match[str]) -> str:
    digits = [int(sign) for sign in found.group().replace("%20", "") if sign.isdigit()]
    return HIDDEN if _passes_luhn(digits) else found.group()


def _passes_luhn(digits: list[int]) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
