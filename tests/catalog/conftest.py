from __future__ import annotations

import pytest
from django.test import Client

from tests.catalog.desk import signed_in


@pytest.fixture
def staff() -> Client:
    """A browser of somebody who may do everything."""
    return signed_in(is_superuser=True)


@pytest.fixture
def viewer() -> Client:
    """A browser of somebody who may look at the catalogue, and no more."""
    return signed_in("view_plan", "view_addon", "view_tokenbundle")
