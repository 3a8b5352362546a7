"""Keeps the conditions that apps raise and clear; whoever tells people reads them from here."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from core.models import ConditionRecord
from core.ports.conditions import Condition


def set_state(condition: Condition, *, firing: bool, now: datetime) -> bool:
    """Write the condition's state in the caller's transaction; True when the state changed.

    Two callers at once change it once: a conditional UPDATE decides. `revision` rises with every change of state, so
    a reader that remembers it never misses one.
    """
    name = {"source": condition.source, "key": condition.key}
    details = {
        "severity": condition.severity,
        "summary": condition.summary[:500],
        "labels": dict(condition.labels),
        "link": condition.link,
        "seen_at": now,
    }
    began = {"raised_at": now} if firing else {}
    changed = ConditionRecord.objects.filter(**name, firing=not firing).update(
        firing=firing, changed_at=now, revision=F("revision") + 1, **began, **details
    )
    if changed:
        return True
    if ConditionRecord.objects.filter(**name).update(**details) or not firing:
        return False
    try:
        with transaction.atomic():
            ConditionRecord.objects.create(**name, firing=True, changed_at=now, raised_at=now, **details)
    except IntegrityError:
        # Somebody else raised the same condition for the first time just now.
        return False
    return True
