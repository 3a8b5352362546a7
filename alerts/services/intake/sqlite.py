"""Reading and writing a batch of alerts on SQLite, whose transactions hold the one write lock from their beginning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from alerts.choices import AlertState
from alerts.lifecycle import Standing
from alerts.services.intake.rows import Changed, Known, New, Past, address_of, name_of, text_of

_encode = msgspec.json.Encoder().encode
_OPEN = """
SELECT id, fingerprint, seq, quiet_until, state, severity, pending_since, starts_at, ends_at FROM alerts_alert
WHERE fingerprint IN (SELECT value FROM json_each(%s)) AND resolved_at IS NULL
"""
_PAST = """
SELECT fingerprint, resolved_at, severity FROM alerts_alert
WHERE fingerprint IN (SELECT value FROM json_each(%s)) AND resolved_at >= %s AND fired_at IS NOT NULL
ORDER BY resolved_at
"""
_INSERT = """
INSERT INTO alerts_alert (id, fingerprint, source, rule_id, name, labels, annotations, generator_url, severity, state,
    value, pending_since, starts_at, fired_at, ends_at, last_seen_at, resolved_at, acknowledged_by, acknowledged_until,
    seq, routed_seq, quiet_until, flaps)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, '', NULL, 1, 0, %s, %s)
"""
_UPDATE = """
UPDATE alerts_alert SET
    fired_at = CASE WHEN state = 'pending' AND %s = 'firing' THEN %s ELSE fired_at END,
    acknowledged_by = CASE %s WHEN 'firing' THEN '' ELSE acknowledged_by END,
    acknowledged_until = CASE %s WHEN 'acknowledged' THEN acknowledged_until END,
    state = %s, severity = %s, starts_at = %s, ends_at = %s, resolved_at = %s, quiet_until = %s, last_seen_at = %s,
    value = COALESCE(%s, value), annotations = COALESCE(%s, annotations),
    generator_url = COALESCE(%s, generator_url), seq = seq + %s
WHERE id = %s AND seq = %s
"""
_FACT = "INSERT INTO alerts_alertevent (alert_id, seq, kind, at, actor, data) VALUES (%s, %s, %s, %s, '', %s)"


def read_open(fingerprints: Sequence[str]) -> list[Known]:
    """Return the open alerts of these fingerprints; nobody else writes until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [json.dumps(fingerprints)])
        return [_known(row) for row in cursor.fetchall()]


def read_past(fingerprints: Sequence[str], since: datetime) -> list[Past]:
    """Return the occurrences of these fingerprints that ended since, the latest last."""
    with connection.cursor() as cursor:
        cursor.execute(_PAST, [json.dumps(fingerprints), _text(since)])
        return [Past(key, _instant(at), severity) for key, at, severity in cursor.fetchall()]


def insert(rows: Sequence[New], now: datetime) -> list[str]:
    """Write new alerts with their first fact; nobody can have opened one meanwhile."""
    if rows:
        at = _stamp(now)
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, [_inserted(row, at) for row in rows])
            cursor.executemany(_FACT, [_first_fact(row, at) for row in rows])
    return []


def update(rows: Sequence[Changed], now: datetime) -> list[str]:
    """Write what open alerts have become, with a fact for each change; nobody can have changed one meanwhile."""
    if rows:
        at = _stamp(now)
        with connection.cursor() as cursor:
            cursor.executemany(_UPDATE, [_updated(row, at) for row in rows])
            facts = list(_facts(rows, at))
            if facts:
                cursor.executemany(_FACT, facts)
    return []


def _known(row: tuple[Any, ...]) -> Known:
    key, name, seq, quiet, state, severity, pending, starts, ends = row
    standing = Standing(state, severity, _moment(pending), _instant(starts), _moment(ends))
    return Known(UUID(key), name, seq, standing, _moment(quiet))


def _inserted(row: New, at: str) -> tuple[Any, ...]:
    report, step = row.report, row.step
    return (
        row.id.hex,
        row.fingerprint,
        report.source,
        report.rule_id.hex if report.rule_id else None,
        name_of(report),
        _json(report.labels),
        _json(report.annotations),
        address_of(report),
        step.severity,
        step.state,
        text_of(report.value),
        _text(step.pending_since),
        _text(step.starts_at),
        at if step.state == AlertState.FIRING else None,
        _text(step.ends_at),
        at,
        _text(row.quiet_until),
        row.flaps,
    )


def _updated(row: Changed, at: str) -> tuple[Any, ...]:
    report, step = row.report, row.step
    shown: tuple[str | None, ...] = (None, None, None)
    if report.active and step.state != AlertState.RESOLVED:
        shown = (text_of(report.value), _json(report.annotations), address_of(report))
    return (
        step.state,
        at,
        step.state,
        step.state,
        step.state,
        step.severity,
        _text(step.starts_at),
        _text(step.ends_at),
        _text(step.resolved_at),
        _text(row.quiet_until),
        at,
        *shown,
        int(bool(step.event)),
        row.id.hex,
        row.seq,
    )


def _first_fact(row: New, at: str) -> tuple[Any, ...]:
    data = {"severity": row.step.severity, "value": text_of(row.report.value)}
    return row.id.hex, 1, row.step.event, at, _json(data)


def _facts(rows: Sequence[Changed], at: str) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        step = row.step
        if step.event:
            data = {"from": row.was, "to": step.state, "severity": step.severity, "value": text_of(row.report.value)}
            yield row.id.hex, row.seq + 1, step.event, at, _json(data)


def _json(value: object) -> str:
    return _encode(value).decode()


def _text(value: datetime | None) -> str | None:
    return None if value is None else _stamp(value)


def _stamp(value: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(value))


def _moment(value: datetime | None) -> datetime | None:
    return None if value is None else _instant(value)


def _instant(value: datetime) -> datetime:
    # Stored in UTC without saying so.
    return value.replace(tzinfo=UTC)
