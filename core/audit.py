"""Port `audit`: who did what to which object, written in the caller's transaction and never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from django.db import models

from core.context import Actor, current
from core.money import to_text


def record(
    action: str,
    subject: models.Model | tuple[str, str],
    *,
    now: datetime,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reason: str = "",
    actor: Actor | None = None,
) -> None:
    """Write one audit entry: `action` is a verb in the past ("budget.raised"), `subject` an object or (type, id).

    Actor, channel and request come from the context unless given. Values are stored as text or JSON scalars; money
    keeps every digit. Raises nothing of its own: when the write fails, the caller's transaction fails with it.
    """
    from core.models import AuditEntry  # models load after this module
    from core.security import record_audited

    context = current()
    subject_type, subject_id = subject if isinstance(subject, tuple) else identify(subject)
    who = actor or context.actor
    AuditEntry.objects.create(
        at=now,
        actor_kind=who.kind,
        actor_id=who.identifier,
        actor_label=who.label[:200],
        channel=context.channel,
        request_id=context.request_id,
        action=action,
        subject_type=subject_type,
        subject_id=subject_id,
        before=_plain(before or {}),
        after=_plain(after or {}),
        reason=reason or context.reason,
    )
    prefix = str((after or {}).get("prefix", "")) if subject_type == "core.apikey" else ""
    why = reason or context.reason
    record_audited(action, subject_type, subject_id, now=now, actor=who, reason=why, api_key=prefix)


def identify(subject: models.Model) -> tuple[str, str]:
    """Return the ("app.model", primary key) by which audit entries name an object."""
    return subject._meta.label_lower, str(subject.pk)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: _scalar(value) for name, value in values.items()}


def _scalar(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _scalar(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scalar(item) for item in value]
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return to_text(value)
    return value.isoformat() if isinstance(value, datetime | date) else str(value)
