"""Where detection reads events: the security events, and the audit log, both in the shape of alerts.correlation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from alerts.correlation import Event
from alerts.models import SecurityEvent
from core.models import AuditEntry

# More than this in one look is an attack that every rule has noticed by then.
MOST_EVENTS = 50_000
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "security": {
        "user": "actor_label", "actor": "actor_label", "actor_id": "actor_id", "actor_kind": "actor_kind",
        "api_key": "api_key", "address": "address", "network": "network", "channel": "channel", "outcome": "outcome",
    },
    "audit": {
        "user": "actor_label", "actor": "actor_label", "actor_id": "actor_id", "actor_kind": "actor_kind",
        "channel": "channel", "subject_type": "subject_type", "subject_id": "subject_id",
    },
}  # fmt: skip
KIND = {"security": "kind", "audit": "action"}


def rows(source: str, kinds: Collection[str]) -> QuerySet[Any]:
    """Return the events of these kinds."""
    model: type[Model] = SecurityEvent if source == "security" else AuditEntry
    return model._default_manager.filter(**{f"{KIND[source]}__in": list(kinds)})


def between(source: str, kinds: Collection[str], start: datetime, end: datetime) -> list[Event]:
    """Return the events of these kinds between two instants, both included; of too many, the newest."""
    found = rows(source, kinds).filter(at__gte=start, at__lte=end).order_by("-at", "-pk")[:MOST_EVENTS]
    return [event_of(source, row) for row in found]


def of_group(
    source: str, kinds: Collection[str], group: Collection[tuple[str, str]], start: datetime, end: datetime
) -> list[Event]:
    """Return the events of one group between two instants, the end excluded."""
    narrowed = narrow(source, rows(source, kinds).filter(at__gte=start, at__lt=end), group)
    return [event_of(source, row) for row in narrowed.order_by("-at", "-pk")[:MOST_EVENTS]]


def narrow(source: str, found: QuerySet[Any], values: Collection[tuple[str, str]]) -> QuerySet[Any]:
    """Return those of the rows whose fields have these values."""
    columns = COLUMNS[source]
    own = {columns[name]: value for name, value in values if name in columns}
    extra = {f"data__{name}": _stored(value) for name, value in values if name not in columns}
    return found.filter(**own, **extra)


def event_of(source: str, row: Any) -> Event:
    """Return a row in the shape that correlations read."""
    columns = {name: str(getattr(row, column) or "") for name, column in COLUMNS[source].items()}
    if source == "audit":
        return Event(row.pk, row.at, row.action, columns)
    extra = {str(name): _text(value) for name, value in row.data.items() if not isinstance(value, dict | list)}
    return Event(row.pk, row.at, row.kind, {**extra, **columns}, row.count)


def _stored(value: str) -> object:
    return {"true": True, "false": False}.get(value, value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
