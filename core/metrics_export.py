"""What Prometheus may scrape: requests, this process, and the gauges that apps offer."""

from __future__ import annotations

import os
from collections.abc import Iterable

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core.ports.gauges import Gauge, gauges

UNKNOWN_ROUTE = "(none)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MOST_SAMPLES = 1000

requests_total = Counter("http_requests", "Answered requests.", ("method", "route", "status"))
request_seconds = Histogram("http_request_duration_seconds", "Time to answer.", ("method", "route"), buckets=BUCKETS)

log = structlog.get_logger(__name__)


def observe(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Count one answered request under its route, never under its path: paths are without number."""
    match = request.resolver_match
    route = (match.view_name or match.route) if match is not None else UNKNOWN_ROUTE
    method = request.method if request.method in METHODS else "OTHER"
    requests_total.labels(method, route, str(response.status_code)).inc()
    request_seconds.labels(method, route).observe(seconds)


class GaugeCollector(Collector):
    """Reads the gauges of the apps at each scrape; one that fails is counted and does not hide the others."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Read every gauge."""
        failed = GaugeMetricFamily("agent_factory_gauge_failed", "Whether a gauge could not be read.", labels=["gauge"])
        for gauge in gauges:
            try:
                yield _read(gauge)
            except Exception as error:  # whatever a gauge raises is reported, not passed on
                log.exception("gauge_failed", gauge=gauge.name, reason=str(error))
                failed.add_metric([gauge.name], 1)
            else:
                failed.add_metric([gauge.name], 0)
        yield failed

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing in advance, so that registering reads nothing."""
        return ()


def _read(gauge: Gauge) -> GaugeMetricFamily:
    family = GaugeMetricFamily(gauge.name, gauge.description, labels=list(gauge.labels))
    for count, sample in enumerate(gauge.read(timezone.now())):
        if count >= MOST_SAMPLES:
            log.warning("gauge_cut_off", gauge=gauge.name, samples=MOST_SAMPLES)
            break
        if sample.value is not None:
            family.add_metric([sample.labels.get(label, "") for label in gauge.labels], float(sample.value))
    return family


def exposition() -> bytes:
    """Return everything in the text form of Prometheus; over all worker processes when they share a directory."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]  # the library ships partial types
        own = generate_latest(shared)
    else:
        own = generate_latest(REGISTRY)
    apps = CollectorRegistry()
    apps.register(GaugeCollector())
    return own + generate_latest(apps)
