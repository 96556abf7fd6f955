"""Each settings module is read by a process of its own: this one has its settings already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
PRODUCTION = {
    "SECRET_KEY": "a-secret-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
    "ALLOWED_HOSTS": "billing.example.com",
    "DATABASE_URL": "postgres://billing:secret@database.example.com:5433/billing",
    "BILLING_SELLER_ADDRESS": "1 Example Street|10115 Berlin",
}
# The driver and the embedded server's folder have to be found; nothing else of ours is inherited.
KEPT = ("PATH", "HOME", "LANG", "EMBEDDED_POSTGRES_DIR", "EMBEDDED_POSTGRES_OPTIONS")
SHOW = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=repr))
"""


@pytest.fixture(scope="session")
def python() -> Callable[..., CompletedProcess[str]]:
    """``python(["-c", "…"], environment={…})`` in the project, without what this process has."""

    def run(arguments: list[str], environment: dict[str, str]) -> CompletedProcess[str]:
        inherited = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env={"ENV_FILE": os.devnull, **inherited, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def settings_of(python: Callable[..., CompletedProcess[str]]) -> Callable[..., dict[str, Any]]:
    """``settings_of("production", "DEBUG", SECRET_KEY="…")``: their values, by name."""

    def read(module: str, *names: str, **environment: str) -> dict[str, Any]:
        module = f"config.settings.{module}"
        done = python(["-c", SHOW, *names], {"DJANGO_SETTINGS_MODULE": module, **environment})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read


@pytest.fixture
def refusal(python: Callable[..., CompletedProcess[str]]) -> Callable[..., str]:
    """``refusal("production", SECRET_KEY="…")``: the sentence with which it refuses to start."""

    def read(module: str, **environment: str) -> str:
        module = f"config.settings.{module}"
        done = python(["-c", SHOW, "DEBUG"], {"DJANGO_SETTINGS_MODULE": module, **environment})
        assert done.returncode == 1
        kind, sentence = done.stderr.splitlines()[-1].split(": ", 1)
        assert kind == "django.core.exceptions.ImproperlyConfigured"
        return sentence

    return read
