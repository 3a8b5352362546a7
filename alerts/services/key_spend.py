"""What each API key spends per hour, told as security events so that a key's usual is known and a jump is seen.

The port `metrics` gives the spend of an hour by sender. Like the use of keys it is told at the first spend of the hour
and at each doubling, and once more when the hour is over: a few rows a day for each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from uuid import UUID

from django.core.cache import cache
from django.db.models import Max

from alerts.models import SecurityEvent
from core.context import Actor
from core.models import ApiKey
from core.ports.metrics import metrics
from core.security import record_security_event
from core.windows import Window

KIND = "api_key.spend"
METRIC = "costs.spend_by_sender"
EVERY = timedelta(minutes=5)
HOUR = timedelta(hours=1)
PREFIX = "key:"
CENTS = Decimal(100)
LARGEST = 2**31 - 1


def tell(*, now: datetime) -> int:
    """Tell what keys spent in this hour and the last, every five minutes; return how many events were written."""
    if METRIC not in metrics or not cache.add("alerts:key-spend", 1, timeout=int(EVERY.total_seconds())):
        return 0
    begin = now.replace(minute=0, second=0, microsecond=0)
    return _tell_hour(begin - HOUR, final=True, now=now) + _tell_hour(begin, final=False, now=now)


def _tell_hour(begin: datetime, *, final: bool, now: datetime) -> int:
    """Tell what is more than was told before: twice as much, or, when the hour is over, anything."""
    spent = _spent(begin)
    rows = SecurityEvent.objects.filter(kind=KIND, at__gte=begin, at__lt=begin + HOUR)
    told = {row["api_key"]: row["most"] for row in rows.values("api_key").annotate(most=Max("count"))}
    at = begin + HOUR - timedelta(microseconds=1) if final else now
    written = 0
    for key, cents in sorted(spent.items(), key=lambda item: item[0].prefix):
        before = told.get(key.prefix, 0)
        if cents > before and (final or not before or cents >= 2 * before):
            actor = Actor("api_key", str(key.pk), str(key))
            record_security_event(KIND, now=at, actor=actor, api_key=key.prefix, count=cents)
            written += 1
    return written


def _spent(begin: datetime) -> Mapping[ApiKey, int]:
    """Return cents of the base currency by the newest key of each sender, rounded up."""
    samples = metrics.get(METRIC).read(Window(begin, begin + HOUR), None, None)
    by_family = {
        UUID(sample.labels["sender"].removeprefix(PREFIX)): sample.value
        for sample in samples
        if sample.labels["sender"].startswith(PREFIX) and sample.value is not None and sample.value > 0
    }
    newest: dict[UUID, ApiKey] = {}
    for key in ApiKey.objects.filter(family__in=by_family).order_by("created_at", "pk"):
        newest[key.family] = key
    return {
        key: min(LARGEST, int((by_family[family] * CENTS).to_integral_value(ROUND_UP)))
        for family, key in newest.items()
    }
