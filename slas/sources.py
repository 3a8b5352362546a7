"""Where indicators that are not sent get their events: health checks, metrics of this platform, Prometheus.

Each source answers for the stretch of time since it was last read. It may ask the network and never writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

import msgspec

from core import outbound
from core.health import run_check
from core.ports.health import health_checks
from core.ports.metrics import metrics
from core.windows import Window
from slas.buckets import Aggregate, Event
from slas.choices import SliSource
from slas.models import Sli
from slas.periods import MINUTE

Items = Sequence[Event | Aggregate]
TIMEOUT_SECONDS = 10.0


class SourceError(Exception):
    """The source could not be read; the message is for people."""


def read(sli: Sli, window: Window) -> Items:
    """Return the events of an indicator's own source in a window; raises SourceError.

    Nothing is returned where the source has nothing: that is no data, and not zero events.
    """
    config: Mapping[str, Any] = sli.config
    if sli.source == SliSource.HEALTH:
        return _health(str(config["check"]), window.end)
    if sli.source == SliSource.METRIC:
        return _metric(config, window, valued=sli.threshold is not None)
    if sli.source == SliSource.PROMETHEUS:
        return _prometheus(config, window)
    raise SourceError(f"the source {sli.source} is not read")


def _health(name: str, at: datetime) -> Items:
    if name not in health_checks:
        raise SourceError(f"there is no health check {name!r}")
    return [Event(at - MINUTE, run_check(health_checks.get(name)).status != "failed")]


def _metric(config: Mapping[str, Any], window: Window, *, valued: bool) -> Items:
    labels = config.get("labels")
    wanted = [labels] if isinstance(labels, dict) and labels else None
    if valued:
        return [Event(window.end - MINUTE, value=value) for value in _samples(str(config["metric"]), window, wanted)]
    total = _samples(str(config["metric"]), window, wanted)
    good = _samples(str(config["good_metric"]), window, wanted)
    return [_whole(sum(good, Decimal(0)), sum(total, Decimal(0)), window)] if total else []


def _samples(name: str, window: Window, wanted: Sequence[Mapping[str, str]] | None) -> list[Decimal]:
    if name not in metrics:
        raise SourceError(f"there is no metric {name!r}")
    metric = metrics.get(name)
    if wanted and (unknown := set(wanted[0]) - set(metric.labels)):
        raise SourceError(f"{name} has no label {', '.join(sorted(unknown))}")
    return [sample.value for sample in metric.read(window, wanted, None) if sample.value is not None]


def _prometheus(config: Mapping[str, Any], window: Window) -> Items:
    total = _query(config, str(config["total"]), window)
    if total is None:
        return []
    if config.get("good"):
        good = _query(config, str(config["good"]), window) or Decimal(0)
    else:
        good = total - (_query(config, str(config["bad"]), window) or Decimal(0))
    return [_whole(good, total, window)]


def _query(config: Mapping[str, Any], query: str, window: Window) -> Decimal | None:
    """Return the value of an instant query, in which $window stands for the length of the window."""
    asked = query.replace("$window", f"{int(window.length.total_seconds())}s")
    parameters = urlencode({"query": asked, "time": str(int(window.end.timestamp()))})
    try:
        answer = outbound.request(
            "GET", f"{config['url'].rstrip('/')}/api/v1/query?{parameters}", timeout=TIMEOUT_SECONDS
        )
    except outbound.OutboundError as error:
        raise SourceError(str(error)) from error
    if answer.status != 200:
        raise SourceError(f"Prometheus answered {answer.status}: {answer.text[:200]}")
    return _value(answer.body)


class _Result(msgspec.Struct):
    value: tuple[float, str]


class _Data(msgspec.Struct, rename={"kind": "resultType"}):
    kind: str
    result: Any


class _Answer(msgspec.Struct):
    data: _Data


def _value(body: bytes) -> Decimal | None:
    try:
        data = msgspec.json.decode(body, type=_Answer).data
        if data.kind == "scalar":
            text = str(data.result[1])
        else:
            rows = msgspec.convert(data.result, list[_Result])
            if len(rows) > 1:
                raise SourceError("the query returns several series: sum them")
            if not rows:
                return None
            text = rows[0].value[1]
        value = Decimal(text)
    except (msgspec.DecodeError, IndexError, InvalidOperation, TypeError) as error:
        raise SourceError("Prometheus answered something that is no single value") from error
    return value if value.is_finite() else None


def _whole(good: Decimal, total: Decimal, window: Window) -> Aggregate:
    """Return counts as whole events: what a rate was extrapolated to is rounded, and good never passes total."""
    events = max(0, int(total.to_integral_value()))
    return Aggregate(window.end - timedelta(minutes=1), min(max(0, int(good.to_integral_value())), events), events)
