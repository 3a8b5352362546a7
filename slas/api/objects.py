"""Services, indicators and objectives as the API shows them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from core.money import to_text
from slas.models import Exclusion, PolicyStepFiring, Service, Sli, Slo, SloSnapshot
from slas.services.statuses import ratio, share
from slas.standing import Standing


class ServiceState(msgspec.Struct, kw_only=True):
    """A service: what objectives are set on."""

    service_id: UUID
    slug: str
    name: str
    description: str
    owner: str
    tier: int
    entity_type: str
    entity_id: str
    labels: dict[str, Any]


class SliState(msgspec.Struct, kw_only=True):
    """An indicator: what is measured and when it is good. `late_dropped` events came too late to count."""

    sli_id: UUID
    service: str
    slug: str
    name: str
    description: str
    kind: str
    source: str
    config: dict[str, Any]
    operator: str
    threshold: str | None
    unit: str
    slice_seconds: int | None
    slice_target: str | None
    no_data: str
    lateness_seconds: int
    late_dropped: int


class SloState(msgspec.Struct, kw_only=True):
    """An objective: which share has to be good over which window."""

    slo_id: UUID
    service: str
    sli_id: UUID | None
    slug: str
    name: str
    description: str
    target: str
    window: str
    window_days: int | None
    calendar_unit: str
    time_zone: str
    budgeting: str
    composite: str
    policy: str
    alerting: dict[str, Any]
    revision: int
    enabled: bool


class BurnRate(msgspec.Struct, kw_only=True):
    """How many times too fast the budget burns over a window; null without data."""

    window_seconds: int
    burn_rate: str | None


class PairState(msgspec.Struct, kw_only=True):
    """Two windows that both have to burn faster than the factor, and whether they do."""

    long_seconds: int
    short_seconds: int
    factor: str
    severity: str
    firing: bool


class SloStanding(msgspec.Struct, kw_only=True):
    """How an objective stands. Without data `state` is no_data and there are no figures; it is never 100 %.

    `good` and `total` are after exclusions, `raw_*` before. `budget` is how many may be bad in the (expected) whole
    window, `consumed` the used share of it, `remaining` what is left: negative when more was used than there was.
    """

    slo_id: UUID
    state: str
    as_of: datetime
    target: str
    window_start: datetime
    window_end: datetime
    sli: str | None
    good: int | None
    total: int | None
    raw_good: int | None
    raw_total: int | None
    budget: str | None
    consumed: str | None
    remaining: str | None
    exhausted_in_seconds: int | None
    firing: PairState | None


class Day(msgspec.Struct, kw_only=True):
    """One day of an objective, by the terms in force at its end. A frozen day never changes again."""

    day: str
    state: str
    target: str
    revision: int
    good: int | None
    total: int | None
    raw_good: int | None
    raw_total: int | None
    sli: str | None
    window_sli: str | None
    consumed: str | None
    frozen: bool


class ExclusionState(msgspec.Struct, kw_only=True):
    """A span that does not count. In force once `approved_by` is set and while `withdrawn_at` is null."""

    exclusion_id: UUID
    service: str
    sli_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    recurrence: str
    time_zone: str
    category: str
    applies_to: str
    reason: str
    announced_at: datetime | None
    created_by: str
    approved_by: str
    in_force: bool
    withdrawn_at: datetime | None
    estimated: bool


class Freeze(msgspec.Struct, kw_only=True):
    """A reason not to change a service. `action` freeze: not at all; approval: only with a second person's consent."""

    freeze_id: UUID
    service: str
    slo: str
    action: str
    consumed: str
    message: str
    since: datetime


def show_service(row: Service) -> ServiceState:
    """Return a service for an answer."""
    names = ("slug", "name", "description", "owner", "tier", "entity_type", "entity_id", "labels")
    return ServiceState(service_id=row.pk, **{name: getattr(row, name) for name in names})


def show_sli(row: Sli) -> SliState:
    """Return an indicator, with its service at hand, for an answer."""
    names = (
        "slug", "name", "description", "kind", "source", "config", "operator", "unit", "slice_seconds", "no_data",
        "lateness_seconds", "late_dropped",
    )  # fmt: skip
    return SliState(
        sli_id=row.pk, service=row.service.slug, threshold=text(row.threshold), slice_target=text(row.slice_target),
        **{name: getattr(row, name) for name in names},
    )  # fmt: skip


def show_slo(row: Slo) -> SloState:
    """Return an objective, with its service and policy at hand, for an answer."""
    names = (
        "sli_id", "slug", "name", "description", "window", "window_days", "calendar_unit", "time_zone", "budgeting",
        "composite", "alerting", "revision", "enabled",
    )  # fmt: skip
    return SloState(
        slo_id=row.pk, service=row.service.slug, target=to_text(row.target),
        policy=row.policy.slug if row.policy else "",
        **{name: getattr(row, name) for name in names},
    )  # fmt: skip


def show_standing(item: Standing) -> SloStanding:
    """Return how an objective stands for an answer."""
    numbers, left, used = item.numbers, item.exhausted_in, share(item.consumed)
    return SloStanding(
        slo_id=item.slo.pk,
        state=str(item.state),
        as_of=item.as_of,
        target=to_text(item.terms.target),
        window_start=item.period.start,
        window_end=item.period.end,
        sli=text(ratio(item)),
        good=None if numbers is None else numbers.good - numbers.excluded_good,
        total=None if numbers is None else numbers.total - numbers.excluded_total,
        raw_good=None if numbers is None else numbers.good,
        raw_total=None if numbers is None else numbers.total,
        budget=text(share(item.budget)),
        consumed=text(used),
        remaining=None if used is None else to_text(1 - used),
        exhausted_in_seconds=None if left is None else int(left.total_seconds()),
        firing=next((pair for pair in show_pairs(item) if pair.firing), None),
    )


def show_pairs(item: Standing) -> list[PairState]:
    """Return the pairs of windows of an objective and which of them fires."""
    return [
        PairState(
            long_seconds=int(pair.long.total_seconds()),
            short_seconds=int(pair.short.total_seconds()),
            factor=text(share(pair.factor)) or "",
            severity=pair.severity,
            firing=pair == item.firing,
        )
        for pair in item.terms.pairs
    ]


def show_day(row: SloSnapshot) -> Day:
    """Return a day for an answer."""
    names = ("state", "revision", "good", "total", "raw_good", "raw_total")
    return Day(
        day=row.day.isoformat(), target=to_text(row.target), sli=text(row.sli), window_sli=text(row.window_sli),
        consumed=text(row.consumed), frozen=row.frozen_at is not None, **{name: getattr(row, name) for name in names},
    )  # fmt: skip


def show_exclusion(row: Exclusion) -> ExclusionState:
    """Return an exclusion, with its service at hand, for an answer."""
    names = (
        "sli_id", "starts_at", "ends_at", "recurrence", "time_zone", "category", "applies_to", "reason", "announced_at",
        "created_by", "approved_by", "withdrawn_at", "estimated",
    )  # fmt: skip
    return ExclusionState(
        exclusion_id=row.pk, service=row.service.slug if row.service else "",
        in_force=bool(row.approved_by) and row.withdrawn_at is None, **{name: getattr(row, name) for name in names},
    )  # fmt: skip


def show_freeze(row: PolicyStepFiring) -> Freeze:
    """Return a freeze, with its objective and service at hand, for an answer."""
    return Freeze(
        freeze_id=row.pk, service=row.slo.service.slug, slo=row.slo.slug, action=row.action,
        consumed=to_text(row.consumed), message=row.message, since=row.started_at,
    )  # fmt: skip


def text(value: Decimal | None) -> str | None:
    """Return a number as text, or None."""
    return None if value is None else to_text(value)
