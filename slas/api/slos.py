"""Objectives: made, listed, changed; how they stand, how fast they burn, and how they stood."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Invalid, Missing
from slas.api.objects import (
    BurnRate,
    Day,
    PairState,
    SloStanding,
    SloState,
    show_day,
    show_pairs,
    show_slo,
    show_standing,
    text,
)
from slas.api.services import Name, Ratio, Slug, given, service_of
from slas.models import BudgetPolicy, Sli, Slo, SloSnapshot
from slas.services import objectives
from slas.services.statuses import share
from slas.standing import Standing, standings

WindowWord = Literal["rolling", "calendar"]
Unit = Literal["day", "week", "month", "quarter", "year", ""]
BudgetWord = Literal["occurrences", "timeslices", "ratio_timeslices"]
Composite = Literal["", "weighted", "worst", "serial", "timeslice"]


class SloPart(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One part of a composite: an objective, its weight, and what it counts as while it has no data."""

    slo_id: UUID
    weight: Annotated[Decimal, Meta(extra={"gt": 0})] = Decimal(1)
    when_delayed: Literal["count_as_good", "count_as_bad", "ignore"] = "ignore"


class NewSlo(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An objective: which share of an indicator's events has to be good, over a rolling or a calendar window.

    A composite has `parts` and no `sli_id`. `alerting` may hold `pairs` (long_minutes, short_minutes, share or factor,
    severity), `guard` (none, min_bad, exact, auto), `min_bad` and `alpha`; left out, the usual ones are taken.
    """

    service: Slug
    slug: Slug
    name: Name
    target: Ratio
    sli_id: UUID | None = None
    description: str = ""
    window: WindowWord = "rolling"
    window_days: int | UnsetType | None = UNSET
    calendar_unit: Unit = ""
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    budgeting: BudgetWord = "occurrences"
    composite: Composite = ""
    parts: Annotated[list[SloPart], Meta(max_length=100)] = []
    policy: Annotated[str, Meta(max_length=100, description="The slug of an error budget policy.")] = ""
    alerting: dict[str, Any] = {}


class SloChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different, from now on; days that are closed keep the terms they had."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    target: Ratio | UnsetType = UNSET
    window: WindowWord | UnsetType = UNSET
    window_days: int | UnsetType | None = UNSET
    calendar_unit: Unit | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    budgeting: BudgetWord | UnsetType = UNSET
    policy: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    alerting: dict[str, Any] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] = ""


class SloQuery(PageQuery, kw_only=True):
    """Which objectives are listed."""

    service: str = ""
    state: Annotated[str, Meta(description="healthy, burning, exhausted or no_data.")] = ""


class BurnAnswer(msgspec.Struct, kw_only=True):
    """How fast the budget burns over every window in use, and the pairs that are watched."""

    slo_id: UUID
    as_of: datetime
    rates: list[BurnRate]
    pairs: list[PairState]


class HistoryQuery(msgspec.Struct, kw_only=True):
    """Which days: from `start` on and before `end`; without them the last 90."""

    start: date | None = None
    end: date | None = None


class HistoryAnswer(msgspec.Struct, kw_only=True):
    """Days in order. A day appears when it is over."""

    slo_id: UUID
    days: list[Day]


class SloList(ApiView):
    """All objectives."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation("list_slos", "List SLOs", query=SloQuery, answers={200: CursorPage[SloState]}, tag="slas")
    def get(self, request: Request) -> HttpResponse:
        """Objectives, newest first; of one service, or of one state, when they are given."""
        caller(request).require_unbound()
        wanted = query(request, SloQuery)
        rows = Slo.objects.select_related("service", "policy")
        rows = rows.filter(service__slug=wanted.service) if wanted.service else rows
        rows = rows.filter(status__state=wanted.state) if wanted.state else rows
        return answer(paginate(request, rows, page=wanted, order=Order(), show=show_slo))

    @operation(
        "create_slo", "Create an SLO", body=NewSlo, answers={201: SloState}, problems=(404, 409), idempotent=True,
        tag="slas",
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make an objective; it is evaluated at once and then every minute."""
        caller(request).require_unbound()
        wanted = decode(request, NewSlo)
        service, values = service_of(slug=wanted.service), _values(given(wanted))
        sli = Sli.objects.filter(pk=wanted.sli_id).first() if wanted.sli_id else None
        if wanted.sli_id and sli is None:
            raise Missing("There is no such indicator.")
        parts = [
            {"child": part.slo_id, "weight": part.weight, "when_delayed": part.when_delayed} for part in wanted.parts
        ]

        def make(now: datetime) -> HttpResponse:
            return answer(show_slo(objectives.create_slo(service, sli, values, now=now, parts=parts)), 201)

        return idempotent(request, make)


class SloDetail(ApiView):
    """One objective."""

    required_scopes = {"GET": "slas:read", "PATCH": "slas:admin"}

    @operation("get_slo", "Read an SLO", answers={200: SloState}, problems=(404,), tag="slas")
    def get(self, request: Request, slo_id: UUID) -> HttpResponse:
        """One objective with its present terms."""
        caller(request).require_unbound()
        return answer(show_slo(_slo(slo_id)))

    @operation("change_slo", "Change an SLO", body=SloChange, answers={200: SloState}, problems=(404,), tag="slas")
    def patch(self, request: Request, slo_id: UUID) -> HttpResponse:
        """Change an objective, or switch its evaluation on or off. Other terms are a new revision."""
        caller(request).require_unbound()
        wanted = decode(request, SloChange)
        values = _values({name: value for name, value in given(wanted).items() if name not in {"enabled", "reason"}})

        def change(now: datetime) -> HttpResponse:
            if isinstance(wanted.enabled, bool):
                objectives.set_enabled(slo_id, enabled=wanted.enabled, now=now, reason=wanted.reason)
            if values:
                objectives.change_slo(slo_id, values, now=now, reason=wanted.reason)
            return answer(show_slo(_slo(slo_id)))

        return idempotent(request, change)


class SloStatusView(ApiView):
    """How one objective stands."""

    required_scopes = {"GET": "slas:read"}

    @operation("get_slo_status", "Read how an SLO stands", answers={200: SloStanding}, problems=(404,), tag="slas")
    def get(self, request: Request, slo_id: UUID) -> HttpResponse:
        """Ratio, budget and state as of the last whole minute, before and after exclusions."""
        caller(request).require_unbound()
        return answer(show_standing(_standing(slo_id)))


class SloBurn(ApiView):
    """How fast one objective's budget burns."""

    required_scopes = {"GET": "slas:read"}

    @operation("get_slo_burn", "Read how fast an SLO burns", answers={200: BurnAnswer}, problems=(404,), tag="slas")
    def get(self, request: Request, slo_id: UUID) -> HttpResponse:
        """Burn rates over all windows in use as of the last whole minute."""
        caller(request).require_unbound()
        item = _standing(slo_id)
        rates = [BurnRate(window_seconds=length, burn_rate=text(share(rate))) for length, rate in item.burns.items()]
        return answer(BurnAnswer(slo_id=slo_id, as_of=item.as_of, rates=rates, pairs=show_pairs(item)))


class SloHistory(ApiView):
    """How one objective stood, day by day."""

    required_scopes = {"GET": "slas:read"}

    @operation(
        "get_slo_history", "Read the days of an SLO", query=HistoryQuery, answers={200: HistoryAnswer},
        problems=(404,), tag="slas",
    )  # fmt: skip
    def get(self, request: Request, slo_id: UUID) -> HttpResponse:
        """Days in the objective's time zone, at most 400 at once."""
        caller(request).require_unbound()
        wanted, slo = query(request, HistoryQuery), _slo(slo_id)
        end = wanted.end or timezone.now().date() + timedelta(days=1)
        start = wanted.start or end - timedelta(days=90)
        if not timedelta(0) < end - start <= timedelta(days=400):
            detail = "ask for 1 to 400 days"
            raise Invalid(detail, errors=[FieldError("/end", "out_of_range", detail)])
        rows = SloSnapshot.objects.filter(slo=slo, day__gte=start, day__lt=end).order_by("day")
        return answer(HistoryAnswer(slo_id=slo.pk, days=[show_day(row) for row in rows]))


def _values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as the service takes them: a policy by its key, no length for a calendar window."""
    policy = values.pop("policy", None)
    if policy is not None:
        found = BudgetPolicy.objects.filter(slug=policy).first() if policy else None
        if policy and found is None:
            detail = f"there is no error budget policy {policy!r}"
            raise Invalid(detail, errors=[FieldError("/policy", "not_found", detail)])
        values["policy_id"] = found.pk if found else None
    if values.get("window") == "calendar":
        values.setdefault("window_days", None)
    elif values.get("window") == "rolling" and "calendar_unit" not in values:
        values["calendar_unit"] = ""
    return values


def _slo(slo_id: UUID) -> Slo:
    found = Slo.objects.select_related("service", "policy", "sli").filter(pk=slo_id).first()
    if found is None:
        raise Missing("There is no such objective.")
    return found


def _standing(slo_id: UUID) -> Standing:
    return standings([_slo(slo_id)], timezone.now())[0]
