"""What people and machines do to alerts: acknowledge, take that back, resolve; each with who and why on record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from alerts.choices import ALERT_TRANSITIONS, AlertState
from alerts.models import Alert, AlertEvent
from alerts.services import nudges
from core import audit
from core.errors import FieldError, Invalid

LONGEST_ACKNOWLEDGEMENT = timedelta(days=30)
LONGEST_REASON = 500
MOST_AT_ONCE = 1000
# Somebody else may change an alert between the look and the write; then it is looked at again.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Handled:
    """The alerts that an act changed, and those whose state did not allow it."""

    changed: list[Alert]
    skipped: list[Alert]


@transaction.atomic
def acknowledge(alerts: Sequence[Alert], *, by: str, until: datetime, reason: str, now: datetime) -> Handled:
    """Let `by` take on alerts that fire, until an instant at most 30 days away; then they fire again.

    Nobody is reminded of an alert while it is acknowledged. One that is acknowledged already changes hands. Raises
    Invalid without a reason or for an instant that is over or too far.
    """
    _require_reason(reason)
    if not now < until <= now + LONGEST_ACKNOWLEDGEMENT:
        raise _invalid("/until", "an acknowledgement ends between now and 30 days from now")
    values = {"state": AlertState.ACKNOWLEDGED, "acknowledged_by": by[:200], "acknowledged_until": until}
    act = _Act("acknowledged", by, reason, now, {"until": until.isoformat()})
    return _change(alerts, act, lambda _: values, from_states=(AlertState.FIRING, AlertState.ACKNOWLEDGED))


@transaction.atomic
def unacknowledge(alerts: Sequence[Alert], *, by: str, reason: str, now: datetime) -> Handled:
    """Let acknowledged alerts fire again: they are told of anew."""
    _require_reason(reason)
    values = {"state": AlertState.FIRING, "acknowledged_by": "", "acknowledged_until": None}
    act = _Act("unacknowledged", by, reason, now)
    return _change(alerts, act, lambda _: values, from_states=(AlertState.ACKNOWLEDGED,))


@transaction.atomic
def resolve(alerts: Sequence[Alert], *, by: str, reason: str, now: datetime) -> Handled:
    """End open alerts by hand. Who reports one again opens another occurrence."""
    _require_reason(reason)
    values = {"state": AlertState.RESOLVED, "resolved_at": now, "acknowledged_until": None}
    open_states = [state for state, following in ALERT_TRANSITIONS.items() if AlertState.RESOLVED in following]
    return _change(alerts, _Act("resolved", by, reason, now), lambda _: values, from_states=open_states)


@dataclass(frozen=True, slots=True)
class _Act:
    """What is done, by whom, why and when."""

    kind: str
    by: str
    reason: str
    now: datetime
    data: Mapping[str, Any] | None = None


def _change(
    alerts: Sequence[Alert],
    act: _Act,
    values: Callable[[Alert], Mapping[str, Any]],
    *,
    from_states: Iterable[str],
) -> Handled:
    if len(alerts) > MOST_AT_ONCE:
        raise _invalid("", f"at most {MOST_AT_ONCE:,} alerts at once")
    allowed = frozenset(from_states)
    changed: list[Alert] = []
    skipped: list[Alert] = []
    # In the order of the fingerprints, as intake takes them.
    for alert in sorted(alerts, key=lambda alert: alert.fingerprint):
        done = _change_one(alert, act, values(alert), allowed)
        (changed if done is not None else skipped).append(done or alert)
    if changed:
        nudges.wake("route")
    return Handled(changed, skipped)


def _change_one(alert: Alert, act: _Act, values: Mapping[str, Any], allowed: frozenset[str]) -> Alert | None:
    """Change one alert by compare-and-swap on its seq, with its fact and its audit entry; None when it may not."""
    current: Alert | None = alert
    for _ in range(TRIES):
        if current is None or current.state not in allowed:
            return None
        seen = Alert.objects.filter(pk=current.pk, seq=current.seq, state__in=allowed)
        if seen.update(**values, seq=F("seq") + 1):
            _put_on_record(current, act, values["state"])
            return Alert.objects.get(pk=current.pk)
        current = Alert.objects.filter(pk=current.pk).first()
    return None


def _put_on_record(alert: Alert, act: _Act, state: str) -> None:
    data = {"from": alert.state, "to": str(state), "reason": act.reason, **(act.data or {})}
    AlertEvent.objects.create(alert=alert, seq=alert.seq + 1, kind=act.kind, at=act.now, actor=act.by[:200], data=data)
    audit.record(
        f"alert.{act.kind}",
        alert,
        now=act.now,
        before={"state": alert.state},
        after={"state": str(state), "name": alert.name, **(act.data or {})},
        reason=act.reason,
    )


def _require_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise _invalid("/reason", f"say why, in at most {LONGEST_REASON} characters")


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, "invalid", detail)])
