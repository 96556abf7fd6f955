"""What each process counts for Prometheus; config/gunicorn.py puts the processes together."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

REQUESTS = Histogram(
    "billing_request_seconds",
    "How long requests took to be answered.",
    ["area", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REFUSALS = Counter(
    "billing_refusals", "Errors that the API answered, by their code.", ["code", "status"]
)
EVENTS = Counter(
    "billing_events",
    "What happened (checkout.completed, payment.captured …), as far as web processes did it.",
    ["name"],
)


def note_request(*, path: str, method: str | None, status: int, seconds: float) -> None:
    area = "admin" if path.startswith("/admin/") else "api" if path.startswith("/api/") else "other"
    # A caller may send any word for a method, and a metric must not grow by it.
    known = method if method in METHODS else "other"
    REQUESTS.labels(area, known, status).observe(seconds)


def note_refusal(*, code: str, status: int) -> None:
    REFUSALS.labels(code, status).inc()
