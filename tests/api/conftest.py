from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def production() -> Callable[..., CompletedProcess[str]]:
    """``production(["-c", "…"])``: Python with production's settings, and no database there."""

    def run(arguments: list[str]) -> CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "SECRET_KEY": "a-secret-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF",
            "ALLOWED_HOSTS": "billing.example.com",
            "DATABASE_URL": "postgres://billing@/billing?host=/nowhere",
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
