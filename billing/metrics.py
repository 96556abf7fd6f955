"""``/metrics``: what the processes counted, and what the database says now."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from billing.models import Event
from billing.services import queues
from config.metrics import EVENTS

logger = logging.getLogger(__name__)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever has ``METRICS_TOKEN``; without one in the settings there is no such page."""
    if not settings.METRICS_TOKEN:
        return _refused(404, "not_found", "There is nothing at this address.")
    given = request.headers.get("Authorization", "")
    if not constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}"):
        answer = _refused(401, "not_authenticated", "This needs the token of the metrics.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_registry()), content_type=content_type)


def count_event(*, event: Event, **_signal: Any) -> None:
    """Receives what happened, after its commit."""
    EVENTS.labels(event.name).inc()


class QueueCollector(Collector):
    """Counts in the database whenever it is asked; the same from every process and machine."""

    def collect(self) -> Iterator[Metric]:
        try:
            found = queues.measure(now=timezone.now())
        except Error as error:
            logger.warning("The queues could not be counted.", exc_info=error)
            yield _gauge("billing_database_up", "Whether the database answers.", 0)
            return
        yield _gauge("billing_database_up", "Whether the database answers.", 1)
        yield from _of_queues("billing_due", "due and not done", found.due)
        yield from _of_queues("billing_to_resolve", "waiting for a person", found.to_resolve)
        yield from _of_queues(
            "billing_unanswered", "asked of the provider", {"payments": found.unanswered}
        )
        lately = GaugeMetricFamily(
            "billing_events_lately",
            "Events of the last five minutes, of every process and command.",
            labels=["name"],
        )
        for name, count in sorted(found.lately.items()):
            lately.add_metric([name], count)
        yield lately


def _of_queues(name: str, what: str, found: dict[str, queues.Queue]) -> Iterator[Metric]:
    size = GaugeMetricFamily(name, f"How many are {what}.", labels=["what"])
    age = GaugeMetricFamily(
        f"{name}_oldest_seconds",
        f"For how long the oldest is {what}; 0 if none is.",
        labels=["what"],
    )
    for label, queue in found.items():
        size.add_metric([label], queue.size)
        age.add_metric([label], queue.age.total_seconds())
    yield size
    yield age


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _registry() -> CollectorRegistry:
    """Of all processes of this server, where it has several; and of the database."""
    whole = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(whole)
    else:
        whole.register(REGISTRY)
    whole.register(QueueCollector())
    return whole


def _refused(status: int, code: str, sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence, "code": code}, status=status)
