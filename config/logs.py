"""How log lines are written: JSON for programs, lines for people; both without secrets."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.typing import EventDict

from config.redaction import redact_value

# What a call may add by ``extra=``; whatever else a library adds there is left out.
FIELDS = ["method", "path", "status", "milliseconds"]
FORMS = ("json", "lines")
OURS = frozenset({"level", "logger", "timestamp", "status", "milliseconds"})  # nobody else's words


def _hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {
        name: value if name in OURS or name.startswith("_") else redact_value(name, value)
        for name, value in event.items()
    }


BEFORE = [
    structlog.contextvars.merge_contextvars,  # the id of the request
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(allow=FIELDS),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _hide_secrets,
]


def configuration(*, form: str, level: str) -> dict[str, Any]:
    """
    The value of ``LOGGING``.

    :param form: ``json``, one object a line, or ``lines``
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": "config.logs.formatter", "form": form}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["console"], "level": level},
    }


def formatter(*, form: str) -> logging.Formatter:
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=BEFORE,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
