from tests.access.conftest import rows  # noqa: F401 - one of everything that a caller may meet
