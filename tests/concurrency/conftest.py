from collections.abc import Iterator

import pytest
from django.core.management import call_command


@pytest.fixture
def books_are_clean(transactional_db) -> Iterator[None]:
    """After the test, every rule over the whole database holds."""
    yield
    call_command("verify_books")
