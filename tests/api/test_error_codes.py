from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from rest_framework.exceptions import APIException, ValidationError

from config import api
from config.errors import DomainError

TABLE = Path(__file__).resolve().parent.parent.parent / "docs" / "errors.md"
ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \| (.+) \| (.+) \|$", re.MULTILINE)
# They are configuration: each would be of another process.
NOT_IMPORTED = ("config.settings", "config.gunicorn", "config.wsgi")
# Not raised: written out by the exception handler and by the health check.
WRITTEN_OUT = {("validation_error", 400), ("not_ready", 503)}


def documented() -> list[tuple[str, int]]:
    return [(code, int(status)) for code, status, *_words in ROW.findall(TABLE.read_text())]


def every_refusal() -> set[type[DomainError]]:
    for name in ("config", "accounts", "catalog", "billing"):
        for module in walk_packages(import_module(name).__path__, f"{name}."):
            if not module.name.startswith(NOT_IMPORTED):
                import_module(module.name)
    ours = ("config.", "accounts.", "catalog.", "billing.")  # tests may define some too
    return {kind for kind in _below(DomainError) if kind.__module__.startswith(ours)}


def _below(kind: type) -> Iterator[type]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _below(inner)


def raised() -> set[type[DomainError]]:
    """Those that are not only a family of others."""
    return {kind for kind in every_refusal() if not kind.__subclasses__()}


def codes() -> set[tuple[str, int]]:
    refusals = {(kind.code, kind.http_status) for kind in raised()}
    framework = {(code, kind.status_code) for kind, code in api.CODES.items()}
    outside = {(code, status) for status, (code, _sentence) in api.SENTENCES.items()}
    return refusals | framework | outside | WRITTEN_OUT


class TestTable:
    def test_has_every_code_with_its_status(self):
        assert sorted(codes() - set(documented())) == []

    def test_has_no_row_that_is_dead(self):
        assert sorted(set(documented()) - codes()) == []

    def test_has_each_code_once(self):
        rows = Counter(code for code, _status in documented())

        assert [code for code, number in rows.items() if number > 1] == []

    def test_has_every_row_of_the_file(self):
        """A row that the pattern does not read would go unnoticed."""
        rows = re.findall(r"^\| `", TABLE.read_text(), re.MULTILINE)

        assert len(documented()) == len(rows)
        assert len(rows) >= 60


class TestCodes:
    def test_are_each_refusals_own(self):
        assert [kind.__name__ for kind in raised() if "code" not in vars(kind)] == []

    def test_mean_one_thing_each(self):
        shared = Counter(kind.code for kind in raised())
        statuses = Counter(code for code, _status in codes())

        assert [code for code, number in shared.items() if number > 1] == []
        assert [code for code, number in statuses.items() if number > 1] == []

    def test_are_snake_case(self):
        snake_case = re.compile(r"[a-z]+(_[a-z]+)*")

        assert [code for code, _status in codes() if not snake_case.fullmatch(code)] == []

    def test_have_a_status_of_a_refusal(self):
        refused = {kind.http_status for kind in every_refusal()}

        assert refused <= {400, 401, 402, 403, 404, 409, 422, 429, 503}

    def test_are_there_for_everything_that_the_framework_raises(self):
        every_refusal()  # which imports what brings errors of its own
        known = (*api.CODES, ValidationError)

        unknown = [kind for kind in _below(APIException) if not issubclass(kind, known)]

        assert unknown == []

    def test_of_what_nobody_foresaw_is_server_error(self):
        answer = api._answer_to(APIException("SELECT password FROM users"))

        assert answer.status_code == 500
        assert answer.data == {"error": "Something went wrong on our side.", "code": "server_error"}
