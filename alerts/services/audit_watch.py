"""Watches the audit log from outside: rows that are gone, and triggers that no longer keep them.

How many entries lie between two numbers is counted and remembered. Entries are never deleted, so the count of the same
range can only grow, by late commits; when it shrinks, somebody deleted past the triggers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from alerts.models import DetectionRule
from core.models import AuditEntry
from core.security import record_security_event

SLUG = "audit-log-gap"
EVERY = timedelta(minutes=1)
RANGE = 20_000
TABLE = "core_auditentry"
TRIGGERS = {
    "postgresql": (f"{TABLE}_append_only", f"{TABLE}_no_truncate"),
    "sqlite": (f"{TABLE}_no_update", f"{TABLE}_no_delete"),
}


def check(*, now: datetime) -> bool:
    """Compare with what was remembered and remember anew, once a minute; True when something was found."""
    rule = DetectionRule.objects.filter(slug=SLUG, enabled=True).first()
    if rule is None:
        return False
    before: dict[str, Any] = rule.memory.get("checkpoint", {})
    if before and now - datetime.fromisoformat(before["at"]) < EVERY:
        return False
    missing = _missing(before)
    unprotected = _unprotected()
    with transaction.atomic():
        memory = {**rule.memory, "checkpoint": _checkpoint(now, unprotected)}
        mine = DetectionRule.objects.filter(pk=rule.pk, revision=rule.revision)
        if not mine.update(memory=memory, revision=rule.revision + 1):
            return False
        if missing:
            data = {"missing": missing, "from": before["from"], "until": before["until"]}
            record_security_event("audit.gap", now=now, outcome="failure", data=data)
        if unprotected and unprotected != before.get("unprotected"):
            record_security_event("audit.unprotected", now=now, outcome="failure", data={"triggers": unprotected})
    return bool(missing or unprotected)


def _checkpoint(now: datetime, unprotected: str) -> dict[str, object]:
    last = AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0
    first = max(1, last - RANGE)
    return {
        "at": now.isoformat(),
        "from": first,
        "until": last,
        "count": _count(first, last),
        "unprotected": unprotected,
    }


def _missing(before: dict[str, Any]) -> int:
    if not before:
        return 0
    return max(0, int(before["count"]) - _count(int(before["from"]), int(before["until"])))


def _count(first: int, last: int) -> int:
    return AuditEntry.objects.filter(pk__gte=first, pk__lte=last).count()


def _unprotected() -> str:
    """Return the names of the triggers that are missing or switched off."""
    wanted = TRIGGERS[connection.vendor]
    query = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [TABLE])
        there = {name for (name,) in cursor.fetchall()}
    return ", ".join(name for name in wanted if name not in there)
