"""Reading and writing a batch of alerts on PostgreSQL: each way is one statement, its rows one JSON document.

Open alerts are locked in the order of their fingerprints, and new ones inserted in it: batches that overlap wait for
each other and do not deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
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
WHERE fingerprint = ANY(%s::varchar[]) AND resolved_at IS NULL ORDER BY fingerprint FOR NO KEY UPDATE
"""
_PAST = """
SELECT fingerprint, resolved_at, severity FROM alerts_alert
WHERE fingerprint = ANY(%s::varchar[]) AND resolved_at >= %s AND fired_at IS NOT NULL ORDER BY resolved_at
"""
_INSERT = """
WITH new AS (
    INSERT INTO alerts_alert (id, fingerprint, source, rule_id, name, labels, annotations, generator_url, severity,
        state, value, pending_since, starts_at, fired_at, ends_at, last_seen_at, resolved_at, acknowledged_by,
        acknowledged_until, seq, routed_seq, quiet_until, flaps)
    SELECT r.id, r.fingerprint, r.source, r.rule, r.name, r.labels, r.annotations, r.address, r.severity, r.state,
        r.value, r.pending, r.starts, CASE r.state WHEN 'firing' THEN %(now)s::timestamptz END, r.ends, %(now)s, NULL,
        '', NULL, 1, 0, r.quiet, r.flaps
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(id uuid, fingerprint varchar, source varchar, rule uuid, name varchar,
        labels jsonb, annotations jsonb, address varchar, severity varchar, state varchar, value varchar,
        pending timestamptz, starts timestamptz, ends timestamptz, quiet timestamptz, flaps int)
    ORDER BY r.fingerprint
    ON CONFLICT (fingerprint) WHERE resolved_at IS NULL DO NOTHING
    RETURNING id, fingerprint, state, severity, value
), facts AS (
    INSERT INTO alerts_alertevent (alert_id, seq, kind, at, actor, data)
    SELECT id, 1, state, %(now)s, '', jsonb_build_object('severity', severity, 'value', value) FROM new
)
SELECT fingerprint FROM new
"""
_UPDATE = """
WITH changed AS (
    UPDATE alerts_alert a SET
        state = r.state, severity = r.severity, starts_at = r.starts, ends_at = r.ends, resolved_at = r.resolved,
        quiet_until = r.quiet, last_seen_at = %(now)s, value = COALESCE(r.value, a.value),
        annotations = COALESCE(r.annotations, a.annotations), generator_url = COALESCE(r.address, a.generator_url),
        fired_at = CASE WHEN a.state = 'pending' AND r.state = 'firing' THEN %(now)s::timestamptz ELSE a.fired_at END,
        acknowledged_by = CASE r.state WHEN 'firing' THEN '' ELSE a.acknowledged_by END,
        acknowledged_until = CASE r.state WHEN 'acknowledged' THEN a.acknowledged_until END,
        seq = a.seq + CASE WHEN r.event = '' THEN 0 ELSE 1 END
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(id uuid, seq int, event varchar, was varchar, state varchar,
        severity varchar, starts timestamptz, ends timestamptz, resolved timestamptz, quiet timestamptz, value varchar,
        annotations jsonb, address varchar)
    WHERE a.id = r.id AND a.seq = r.seq
    RETURNING a.id, a.seq, a.state, a.severity, a.value, r.event, r.was
), facts AS (
    INSERT INTO alerts_alertevent (alert_id, seq, kind, at, actor, data)
    SELECT id, seq, event, %(now)s, '',
        jsonb_build_object('from', was, 'to', state, 'severity', severity, 'value', value)
    FROM changed WHERE event <> ''
)
SELECT id FROM changed
"""


def read_open(fingerprints: Sequence[str]) -> list[Known]:
    """Return the open alerts of these fingerprints, locked until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, ["{" + ",".join(fingerprints) + "}"])
        return [Known(row[0], row[1], row[2], Standing(*row[4:]), row[3]) for row in cursor.fetchall()]


def read_past(fingerprints: Sequence[str], since: datetime) -> list[Past]:
    """Return the occurrences of these fingerprints that ended since, the latest last."""
    with connection.cursor() as cursor:
        cursor.execute(_PAST, ["{" + ",".join(fingerprints) + "}", since])
        return [Past(*row) for row in cursor.fetchall()]


def insert(rows: Sequence[New], now: datetime) -> list[str]:
    """Write new alerts with their first fact; return the fingerprints that somebody else has opened meanwhile."""
    if not rows:
        return []
    written = _write(_INSERT, [_inserted(row) for row in rows], now)
    return [row.fingerprint for row in rows if row.fingerprint not in written]


def update(rows: Sequence[Changed], now: datetime) -> list[str]:
    """Write what open alerts have become, with a fact for each change; return those that changed meanwhile."""
    if not rows:
        return []
    written = _write(_UPDATE, [_updated(row) for row in rows], now)
    return [row.fingerprint for row in rows if row.id not in written]


def _write(statement: str, rows: list[dict[str, Any]], now: datetime) -> set[str | UUID]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"rows": _encode(rows).decode(), "now": now})
        return {row[0] for row in cursor.fetchall()}


def _inserted(row: New) -> dict[str, Any]:
    report, step = row.report, row.step
    return {
        "id": row.id,
        "fingerprint": row.fingerprint,
        "source": report.source,
        "rule": report.rule_id,
        "name": name_of(report),
        "labels": report.labels,
        "annotations": report.annotations,
        "address": address_of(report),
        "severity": step.severity,
        "state": step.state,
        "value": text_of(report.value),
        "pending": step.pending_since,
        "starts": step.starts_at,
        "ends": step.ends_at,
        "quiet": row.quiet_until,
        "flaps": row.flaps,
    }


def _updated(row: Changed) -> dict[str, Any]:
    report, step = row.report, row.step
    shown: dict[str, Any] = {}
    if report.active and step.state != AlertState.RESOLVED:
        shown = {"value": text_of(report.value), "annotations": report.annotations, "address": address_of(report)}
    return {
        "id": row.id,
        "seq": row.seq,
        "event": step.event,
        "was": row.was,
        "state": step.state,
        "severity": step.severity,
        "starts": step.starts_at,
        "ends": step.ends_at,
        "resolved": step.resolved_at,
        "quiet": row.quiet_until,
        **shown,
    }
