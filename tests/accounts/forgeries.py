"""Tokens that look like ours and are not."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.conf import settings

from accounts.models import Session


def signed(key: str = settings.SECRET_KEY, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def claims_of(session: Session, kind: str) -> dict[str, Any]:
    """What a good token of this session says."""
    return {
        "token_type": kind,
        "sub": str(session.user_id),
        "sid": str(session.pk),
        "jti": session.token_id.hex,
        "exp": int(datetime(2100, 1, 1).timestamp()),  # noqa: DTZ001 - some day far off
    }


def forgery(name: str, session: Session, kind: str) -> Any:
    good = claims_of(session, kind)
    nested = base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=")
    return {
        "not a JWT": "garbage",
        "two parts": "a.b",
        "empty parts": "..",
        "not ASCII": "ä.ö.ü",
        "deeply nested JSON": f"{nested}.e30.e30",
        "without a signature": jwt.encode(good, None, algorithm="none"),
        "another key": signed("x" * 50, **good),
        "another algorithm": signed(algorithm="HS384", **good),
        "another kind": signed(**good | {"token_type": "sliding"}),
        "no kind": signed(**{k: v for k, v in good.items() if k != "token_type"}),
        "no session": signed(**{k: v for k, v in good.items() if k != "sid"}),
        "no id": signed(**{k: v for k, v in good.items() if k != "jti"}),
        "no expiry": signed(**{k: v for k, v in good.items() if k != "exp"}),
        "a session that is no id": signed(**good | {"sid": "1"}),
        "a session that is no text": signed(**good | {"sid": 1}),
        "an unknown session": signed(**good | {"sid": str(uuid4())}),
    }[name]


FORGERIES = pytest.mark.parametrize(
    "name",
    ["not a JWT", "two parts", "empty parts", "not ASCII", "deeply nested JSON"]
    + ["without a signature", "another key", "another algorithm", "another kind", "no kind"]
    + ["no session", "no id", "no expiry", "a session that is no id"]
    + ["a session that is no text"],
)
