"""Routes, receivers, inhibit rules and time intervals as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from django.db.models import Model
from msgspec import Meta

from alerts.api.silence_views import MatcherState
from alerts.matching import Matcher, as_text, parse_matchers, stored_matchers
from alerts.models import Channel, EscalationPolicy, InhibitRule, Receiver, Route, TimeInterval
from alerts.services import configuration
from alerts.services.configuration import InhibitTerms, IntervalTerms, ReceiverTerms, RouteTerms
from alerts.services.routetree import load_tree
from alerts.tree import Branch, walk
from core.errors import FieldError, Invalid, Missing

RowT = TypeVar("RowT", bound=Model)
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[-a-zA-Z0-9_]+$")]
Title = Annotated[str, Meta(min_length=1, max_length=120)]
Seconds = Annotated[int, Meta(ge=0, le=30 * 86_400)]
Matchers = Annotated[list[MatcherState], Meta(max_length=64)]
LabelNames = Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=50)]


class RouteTermsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A route. What is null is inherited from the parent; only the root has none."""

    name: Title
    parent_id: int | None
    position: Annotated[int, Meta(ge=0, le=10_000)] = 0
    matchers: Matchers = []
    receiver: str | None = None
    continues: bool = False
    group_by: LabelNames | None = None
    group_wait_seconds: Seconds | None = None
    group_interval_seconds: Seconds | None = None
    repeat_interval_seconds: Seconds | None = None
    mute_intervals: list[str] = []
    active_intervals: list[str] = []


class RouteState(RouteTermsBody, kw_only=True):
    """A route."""

    id: int


class ReceiverBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who gets what a route matches."""

    name: Name
    channels: list[UUID] = []
    send_resolved: bool = True
    opens_incident: bool = False
    escalation_policy_id: int | None = None


class ReceiverState(ReceiverBody, kw_only=True):
    """A receiver."""

    id: int


class InhibitRuleBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """While an alert of the source fires, those of the target whose `equal` labels agree are not told of."""

    name: Title
    source_matchers: Matchers
    target_matchers: Matchers
    equal: LabelNames = []
    enabled: bool = True


class InhibitRuleState(InhibitRuleBody, kw_only=True):
    """An inhibit rule."""

    id: int


class TimeIntervalBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Times of the week and the year, each in Alertmanager's form, in one time zone."""

    name: Name
    time_zone: Annotated[str, Meta(max_length=64)]
    intervals: list[dict[str, Any]]


class TimeIntervalState(TimeIntervalBody, kw_only=True):
    """A time interval."""

    id: int


class LabelSet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The labels of an alert, real or not; severity and source among them."""

    labels: Annotated[dict[str, str], Meta(max_length=100)]


class RouteReached(msgspec.Struct, kw_only=True):
    """A route that gets the alert: its receiver, how it groups, and the time interval that mutes it now."""

    route_id: int
    path: str
    receiver: str
    channels: list[str]
    opens_incident: bool
    group_labels: dict[str, str]
    group_wait_seconds: int
    group_interval_seconds: int
    repeat_interval_seconds: int
    muted_by: str


class RouteLookedAt(msgspec.Struct, kw_only=True):
    """One route that was looked at, in order, and why it got the alert or did not."""

    route_id: int
    path: str
    depth: int
    matched: bool
    reached: bool
    why: str


class RouteTest(msgspec.Struct, kw_only=True):
    """Whom a label set would reach, and why."""

    reached: list[RouteReached]
    looked_at: list[RouteLookedAt]


def route_state(route: Route) -> RouteState:
    """Return a route for an answer."""
    return RouteState(
        id=route.pk,
        name=route.name,
        parent_id=route.parent_id,
        position=route.position,
        matchers=matcher_states(route.matchers),
        receiver=route.receiver.name if route.receiver else None,
        continues=route.continues,
        group_by=route.group_by,
        group_wait_seconds=route.group_wait_seconds,
        group_interval_seconds=route.group_interval_seconds,
        repeat_interval_seconds=route.repeat_interval_seconds,
        mute_intervals=[interval.name for interval in route.mute_intervals.all()],
        active_intervals=[interval.name for interval in route.active_intervals.all()],
    )


def save_route(wanted: RouteTermsBody, now: datetime, route: Route | None = None) -> Route:
    """Make or change a route as a request asks; raises Invalid for names that nothing has."""
    values = msgspec.structs.asdict(wanted)
    del values["parent_id"]
    values["parent"] = None if wanted.parent_id is None else named(Route, "pk", wanted.parent_id, "/parent_id")
    if wanted.receiver is not None:
        values["receiver"] = named(Receiver, "name", wanted.receiver, "/receiver")
    values["matchers"] = matchers_of(wanted.matchers, "/matchers")
    for field in ("mute_intervals", "active_intervals"):
        values[field] = [named(TimeInterval, "name", name, f"/{field}") for name in values[field]]
    return configuration.save_route(RouteTerms(**values), now=now, route=route)


def receiver_state(receiver: Receiver) -> ReceiverState:
    """Return a receiver for an answer."""
    return ReceiverState(
        id=receiver.pk,
        name=receiver.name,
        channels=[channel.pk for channel in receiver.channels.all()],
        send_resolved=receiver.send_resolved,
        opens_incident=receiver.opens_incident,
        escalation_policy_id=receiver.escalation_policy_id,
    )


def save_receiver(wanted: ReceiverBody, now: datetime, receiver: Receiver | None = None) -> Receiver:
    """Make or change a receiver as a request asks."""
    policy = wanted.escalation_policy_id
    terms = ReceiverTerms(
        name=wanted.name,
        channels=[named(Channel, "pk", key, "/channels") for key in wanted.channels],
        send_resolved=wanted.send_resolved,
        opens_incident=wanted.opens_incident,
        escalation_policy=None if policy is None else named(EscalationPolicy, "pk", policy, "/escalation_policy_id"),
    )
    return configuration.save_receiver(terms, now=now, receiver=receiver)


def inhibit_rule_state(rule: InhibitRule) -> InhibitRuleState:
    """Return an inhibit rule for an answer."""
    return InhibitRuleState(
        id=rule.pk,
        name=rule.name,
        source_matchers=matcher_states(rule.source_matchers),
        target_matchers=matcher_states(rule.target_matchers),
        equal=rule.equal,
        enabled=rule.enabled,
    )


def save_inhibit_rule(wanted: InhibitRuleBody, now: datetime, rule: InhibitRule | None = None) -> InhibitRule:
    """Make or change an inhibit rule as a request asks."""
    terms = InhibitTerms(
        name=wanted.name,
        source_matchers=matchers_of(wanted.source_matchers, "/source_matchers"),
        target_matchers=matchers_of(wanted.target_matchers, "/target_matchers"),
        equal=wanted.equal,
        enabled=wanted.enabled,
    )
    return configuration.save_inhibit_rule(terms, now=now, rule=rule)


def interval_state(interval: TimeInterval) -> TimeIntervalState:
    """Return a time interval for an answer."""
    return TimeIntervalState(
        id=interval.pk, name=interval.name, time_zone=interval.time_zone, intervals=interval.intervals
    )


def save_interval(wanted: TimeIntervalBody, now: datetime, interval: TimeInterval | None = None) -> TimeInterval:
    """Make or change a time interval as a request asks."""
    terms = IntervalTerms(name=wanted.name, time_zone=wanted.time_zone, intervals=wanted.intervals)
    return configuration.save_interval(terms, now=now, interval=interval)


def route_test(labels: dict[str, str], now: datetime) -> RouteTest:
    """Return whom a label set would reach now, and why."""
    tree = load_tree()
    if tree is None:
        return RouteTest(reached=[], looked_at=[])
    found = walk(tree.root, labels)
    receivers = {row.pk: row for row in Receiver.objects.prefetch_related("channels")}
    return RouteTest(
        reached=[_reached(branch, receivers.get(branch.receiver or 0), labels, now) for branch in found.reached],
        looked_at=[
            RouteLookedAt(
                route_id=step.branch.id,
                path=step.branch.path,
                depth=step.depth,
                matched=step.matched,
                reached=step.reached,
                why=_why(step.branch, labels, matched=step.matched, reached=step.reached),
            )
            for step in found.steps
        ],
    )


def _reached(branch: Branch, receiver: Receiver | None, labels: dict[str, str], now: datetime) -> RouteReached:
    return RouteReached(
        route_id=branch.id,
        path=branch.path,
        receiver=receiver.name if receiver else "",
        channels=[channel.name for channel in receiver.channels.all()] if receiver else [],
        opens_incident=receiver is not None and receiver.opens_incident,
        group_labels=branch.group_labels(labels),
        group_wait_seconds=int(branch.wait.total_seconds()),
        group_interval_seconds=int(branch.interval.total_seconds()),
        repeat_interval_seconds=int(branch.repeat.total_seconds()),
        muted_by=branch.muted_by(now),
    )


def _why(branch: Branch, labels: dict[str, str], *, matched: bool, reached: bool) -> str:
    if not matched:
        failing = [matcher for matcher in branch.matchers if not matcher.matches(labels)]
        return f"does not match: {as_text(failing)}"
    if reached:
        return "matches, and no route below it does"
    return "matches, and a route below it takes it"


def matcher_states(stored: Sequence[dict[str, str]]) -> list[MatcherState]:
    """Return stored matchers for an answer."""
    return [MatcherState(name=m.name, op=m.op, value=m.value) for m in stored_matchers(stored)]  # type: ignore[arg-type]  # an operator


def matchers_of(wanted: list[MatcherState], pointer: str) -> tuple[Matcher, ...]:
    """Return checked matchers."""
    return parse_matchers([msgspec.structs.asdict(matcher) for matcher in wanted], pointer=pointer)


def found(model: type[RowT], key: int) -> RowT:
    """Return one row; raises Missing."""
    row = model._default_manager.filter(pk=key).first()
    if row is None:
        raise Missing(f"there is no such {model._meta.verbose_name}")
    return row


def named(model: type[RowT], field: str, value: object, pointer: str) -> RowT:
    """Return the row that a body names; raises Invalid when there is none."""
    row = model._default_manager.filter(**{field: value}).first()
    if row is None:
        detail = f"there is no {model._meta.verbose_name} {value}"
        raise Invalid(detail, errors=[FieldError(pointer, "unknown", detail)])
    return row
