"""Changing whom alerts reach: routes, receivers, inhibition and time intervals, each change on the record.

After a change of the tree every alert that fires is routed again; what a channel was told under the old tree is ended
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, models, transaction
from django.db.models import F, ProtectedError

from alerts.intervals import check_intervals
from alerts.matching import Matcher, as_json
from alerts.models import AlertGroup, Channel, EscalationPolicy, InhibitRule, Receiver, Route, TimeInterval
from alerts.services import nudges
from alerts.services.routetree import reroute
from core import audit
from core.errors import Conflict, FieldError, Invalid

DEEPEST = 10
MOST_NAMES = 50
Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTerms:
    """One branch; timings that are None, and a `group_by` or receiver that is None, are those of the parent."""

    name: str
    parent: Route | None
    matchers: Sequence[Matcher] = ()
    receiver: Receiver | None = None
    continues: bool = False
    position: int = 0
    group_by: Sequence[str] | None = None
    group_wait_seconds: int | None = None
    group_interval_seconds: int | None = None
    repeat_interval_seconds: int | None = None
    mute_intervals: Sequence[TimeInterval] = ()
    active_intervals: Sequence[TimeInterval] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTerms:
    """Who gets what a route matches."""

    name: str
    channels: Sequence[Channel] = ()
    send_resolved: bool = True
    opens_incident: bool = False
    escalation_policy: EscalationPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InhibitTerms:
    """What hides what, while the labels `equal` agree."""

    name: str
    source_matchers: Sequence[Matcher]
    target_matchers: Sequence[Matcher]
    equal: Sequence[str] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalTerms:
    """Times that routes are muted in or restricted to."""

    name: str
    time_zone: str
    intervals: Any = field(default_factory=list)


@transaction.atomic
def save_route(terms: RouteTerms, *, now: datetime, route: Route | None = None) -> Route:
    """Make a route, or change one. Raises Invalid for a tree that makes no sense, Conflict for a second root."""
    _check_route(terms, route)
    row = route or Route()
    _save(
        row,
        {
            "name": terms.name, "parent": terms.parent, "matchers": as_json(terms.matchers), "receiver": terms.receiver,
            "continues": terms.continues, "position": terms.position,
            "group_by": None if terms.group_by is None else list(terms.group_by),
            "group_wait_seconds": terms.group_wait_seconds, "group_interval_seconds": terms.group_interval_seconds,
            "repeat_interval_seconds": terms.repeat_interval_seconds,
        },
        {"mute_intervals": terms.mute_intervals, "active_intervals": terms.active_intervals},
        now,
    )  # fmt: skip
    _reroute(now)
    return row


@transaction.atomic
def remove_route(route: Route, *, now: datetime, reason: str = "") -> None:
    """Take a branch out of the tree: what is below it moves up, its groups end under its parent. Not the root."""
    if route.parent is None:
        raise Conflict("the root gets what no other route does: it can be changed, not removed", code="route_is_root")
    facts = _facts(route)
    Route.objects.filter(parent=route).update(parent=route.parent)
    for group in AlertGroup.objects.filter(route=route).order_by("pk"):
        # The parent may have a group of the same labels; this one keeps telling its channels what becomes of it.
        AlertGroup.objects.filter(pk=group.pk).update(
            route=route.parent, key=f"{group.key[:40]}~{group.pk}", changes=F("changes") + 1
        )
    subject = audit.identify(route)
    route.delete()
    audit.record("route.removed", subject, now=now, before=facts, reason=reason)
    _reroute(now)


@transaction.atomic
def save_receiver(terms: ReceiverTerms, *, now: datetime, receiver: Receiver | None = None) -> Receiver:
    """Make a receiver, or change one. A channel taken from it is told what ends, and nothing new."""
    row = receiver or Receiver()
    values = {
        "name": terms.name, "send_resolved": terms.send_resolved, "opens_incident": terms.opens_incident,
        "escalation_policy": terms.escalation_policy,
    }  # fmt: skip
    _save(row, values, {"channels": terms.channels}, now)
    _reroute(now)
    return row


@transaction.atomic
def save_inhibit_rule(terms: InhibitTerms, *, now: datetime, rule: InhibitRule | None = None) -> InhibitRule:
    """Make an inhibit rule, or change one; it counts from the next flush on. Raises Invalid for one without a side."""
    if not terms.source_matchers or not terms.target_matchers:
        raise _invalid("/source_matchers", "say which alerts hide, and which are hidden")
    _check_names(terms.equal, "/equal")
    row = rule or InhibitRule()
    values = {
        "name": terms.name, "source_matchers": as_json(terms.source_matchers),
        "target_matchers": as_json(terms.target_matchers), "equal": list(terms.equal), "enabled": terms.enabled,
    }  # fmt: skip
    _save(row, values, {}, now)
    return row


@transaction.atomic
def save_interval(terms: IntervalTerms, *, now: datetime, interval: TimeInterval | None = None) -> TimeInterval:
    """Make a time interval, or change one. Raises Invalid for times or a time zone that do not exist."""
    try:
        ZoneInfo(terms.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _invalid("/time_zone", "this is no time zone, such as Europe/Paris") from error
    row = interval or TimeInterval()
    values = {"name": terms.name, "time_zone": terms.time_zone, "intervals": check_intervals(terms.intervals)}
    _save(row, values, {}, now)
    return row


@transaction.atomic
def remove(row: Receiver | InhibitRule | TimeInterval, *, now: datetime, reason: str = "") -> None:
    """Remove what no route uses. Raises Conflict when one does."""
    if isinstance(row, TimeInterval) and (row.muted_routes.exists() or row.active_routes.exists()):
        raise Conflict("a route uses this time interval; take it out there first", code="in_use")
    subject, facts = audit.identify(row), _facts(row)
    try:
        row.delete()
    except ProtectedError as error:
        raise Conflict("a route uses this receiver; give the route another first", code="in_use") from error
    audit.record(f"{row._meta.model_name}.removed", subject, now=now, before=facts, reason=reason)


def _check_route(terms: RouteTerms, route: Route | None) -> None:
    for name in ("group_interval_seconds", "repeat_interval_seconds"):
        if getattr(terms, name) == 0:
            raise _invalid(f"/{name}", "at least one second")
    if terms.group_by is not None:
        _check_names(terms.group_by, "/group_by")
    if terms.parent is None:
        _check_root(terms, route)
    elif route is not None and route.parent is None:
        raise _invalid("/parent", "the root stays the root")
    depth, above = 0, terms.parent
    while above is not None:
        depth += 1
        if depth > DEEPEST or (route is not None and above.pk == route.pk):
            raise _invalid("/parent", f"a route cannot be below itself, or deeper than {DEEPEST} levels")
        above = above.parent


def _check_root(terms: RouteTerms, route: Route | None) -> None:
    roots = Route.objects.filter(parent=None)
    if (roots.exclude(pk=route.pk) if route is not None else roots).exists():
        raise Conflict("there is a root already; say below which route this one belongs", code="second_root")
    if terms.receiver is None or terms.matchers or terms.mute_intervals or terms.active_intervals:
        raise _invalid("/receiver", "the root has a receiver, and neither matchers nor time intervals")


def _check_names(names: Sequence[str], pointer: str) -> None:
    if len(names) > MOST_NAMES or any(not isinstance(name, str) or not 0 < len(name) <= 200 for name in names):
        raise _invalid(pointer, f"at most {MOST_NAMES} names of labels")


def _save(row: Row, values: dict[str, Any], related: dict[str, Sequence[models.Model]], now: datetime) -> None:
    made = row.pk is None
    before = {} if made else _facts(type(row)._default_manager.get(pk=row.pk))
    for name, value in values.items():
        setattr(row, name, value)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict("another one has this name or this place", code="name_taken") from error
    for name, rows in related.items():
        getattr(row, name).set(rows)
    verb = "created" if made else "changed"
    audit.record(f"{row._meta.model_name}.{verb}", row, now=now, before=before, after=_facts(row))


def _facts(row: models.Model) -> dict[str, object]:
    facts: dict[str, object] = {
        column.name: getattr(row, column.attname) for column in row._meta.concrete_fields if not column.primary_key
    }
    many = {item.name: [str(other) for other in getattr(row, item.name).all()] for item in row._meta.many_to_many}
    return {
        name: value if isinstance(value, bool | int | list) else str(value) for name, value in (facts | many).items()
    }


def _reroute(now: datetime) -> None:
    reroute(now=now)
    nudges.wake("route")


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_routing", errors=[FieldError(pointer, "invalid", detail)])
