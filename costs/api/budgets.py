"""Budgets: made, read, changed and raised."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from core.api.authentication import Identity, caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Conflict, FieldError, Forbidden, Invalid, Missing
from core.models import Approval
from core.money import to_text
from costs.approval_ports import needs_approval, raise_or_ask
from costs.forecast import Forecast
from costs.models import Budget
from costs.services import budgets
from costs.services.budgets import BudgetChange, BudgetStatus, BudgetTerms, ThresholdTerms

Amount = Annotated[Decimal, Meta(extra={"ge": 0}, description="Money: a string or a number, taken digit by digit.")]
Mode = Literal["monitor", "soft", "hard"]
Period = Literal["daily", "weekly", "monthly", "quarterly", "yearly"]
Ratio = Annotated[Decimal, Meta(description="A share of the amount: 0.8 is 80 %.")]
EXAMPLE = {
    "name": "Agent budget",
    "entity_type": "agent",
    "entity_id": "my-agent",
    "amount": "100.00",
    "period": "monthly",
    "alert_threshold": 0.8,
    "mode": "hard",
}


class NewBudget(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A limit per calendar period. Without an entity, or with a blank filter, it is for everything.

    `mode` hard refuses what does not fit, soft warns, monitor counts. `anchor` is the weekday a week begins on
    (1 Monday) or the day a month, quarter or year begins on; `time_zone` is the organisation's unless given.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    amount: Amount
    period: Period
    entity_type: Annotated[str, Meta(max_length=32)] = ""
    entity_id: Annotated[str, Meta(max_length=200)] = ""
    alert_threshold: Ratio | None = Decimal("0.8")
    forecast_threshold: Ratio | None = None
    mode: Mode = "soft"
    currency: Annotated[str, Meta(max_length=8)] = ""
    cost_type: Annotated[str, Meta(max_length=32)] = ""
    provider: Annotated[str, Meta(max_length=64)] = ""
    model: Annotated[str, Meta(max_length=160)] = ""
    anchor: Annotated[int, Meta(ge=1, le=31)] = 1
    time_zone: Annotated[str, Meta(max_length=64)] = ""


class BudgetCreated(msgspec.Struct, kw_only=True):
    """The budget exists and counts its current period from the beginning."""

    budget_id: UUID
    status: Literal["created"] = "created"
    mode: str
    currency: str


class BudgetForecast(msgspec.Struct, kw_only=True):
    """What the period is expected to end at, and the range it falls in four times out of five."""

    expected: str
    low: str
    high: str
    method: str
    history_days: int


class Threshold(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A share of the amount at which somebody is told, once per period: of what is spent, or is expected to be."""

    ratio: Ratio
    basis: Literal["actual", "forecast"] = "actual"
    severity: Literal["critical", "high", "medium", "low", "info"] = "medium"


class ThresholdState(msgspec.Struct, kw_only=True):
    """A share of the amount at which somebody is told."""

    ratio: float
    basis: str
    severity: str


class BudgetState(msgspec.Struct, kw_only=True):
    """A budget and its current period, in its own currency. `remaining` is amount - total_cost - reserved."""

    budget_id: UUID
    budget_name: str
    entity_type: str
    entity_id: str
    cost_type: str
    provider: str
    model: str
    mode: str
    active: bool
    archived: bool
    currency: str
    budget_amount: str
    total_cost: str
    reserved: str
    remaining: str
    overrun: str
    usage_percent: float | None
    is_over_budget: bool
    should_alert: bool
    alert_threshold: float | None
    thresholds: list[ThresholdState]
    period: str
    period_start: datetime
    period_end: datetime
    time_zone: str
    forecast: BudgetForecast | None


class BudgetQuery(PageQuery, kw_only=True):
    """Which budgets are listed."""

    entity_type: str | None = None
    entity_id: str | None = None
    mode: Mode | None = None
    archived: bool = False


class BudgetPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different. A new `amount` is a revision and needs a `reason`; `thresholds` replaces them all."""

    name: str | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    thresholds: Annotated[list[Threshold], Meta(max_length=10)] | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] = ""


class RaiseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new amount, with its reason; with `expires_at` only until then."""

    amount: Amount
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    expires_at: datetime | None = None


class BudgetRaised(msgspec.Struct, kw_only=True):
    """The amount that holds from now on."""

    budget_id: UUID
    status: Literal["raised"] = "raised"
    budget_amount: str
    effective_from: datetime
    expires_at: datetime | None


class RaiseAsked(msgspec.Struct, kw_only=True):
    """The raise waits for a second person: look at /api/v1/approvals for its decision."""

    budget_id: UUID
    status: Literal["waiting_for_approval"] = "waiting_for_approval"
    approval_id: UUID
    expires_at: datetime


class BudgetList(ApiView):
    """All budgets: make one, list them."""

    required_scopes = {"GET": "budgets:read", "POST": "budgets:write"}

    @operation("list_budgets", "List budgets", query=BudgetQuery, answers={200: CursorPage[BudgetState]}, tag="budgets")
    def get(self, request: Request) -> HttpResponse:
        """Budgets and how they stand, the newest first, without forecasts."""
        wanted = query(request, BudgetQuery)
        rows: CursorPage[Any] = paginate(
            request, _selected(wanted, caller(request)), page=wanted, order=Order(), show=lambda budget: budget
        )
        found = budgets.budget_statuses(rows.items, timezone.now())
        return answer(CursorPage(items=[shown(found[budget.id]) for budget in rows.items], next=rows.next))

    @operation(
        "create_budget",
        "Create a budget",
        body=Annotated[NewBudget, Meta(examples=[EXAMPLE])],
        answers={201: BudgetCreated},
        idempotent=True,
        tag="budgets",
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a budget; what its scope spent since the period began counts from the start."""
        wanted = decode(request, NewBudget)
        _require_scope_of(caller(request), wanted.entity_type, wanted.entity_id)
        return idempotent(request, lambda now: _created(request, _terms(wanted), now))


class BudgetDetail(ApiView):
    """One budget."""

    required_scopes = {"GET": "budgets:read", "PATCH": "budgets:write", "DELETE": "budgets:write"}

    @operation("get_budget", "How a budget stands", answers={200: BudgetState}, tag="budgets")
    def get(self, request: Request, budget_id: UUID) -> HttpResponse:
        """The current period: what is spent, set aside and left, and what it is expected to end at."""
        budget = _found(budget_id, caller(request))
        return answer(shown(budgets.budget_status(budget, timezone.now())))

    @operation(
        "change_budget", "Change a budget", body=BudgetPatch, answers={200: BudgetState}, problems=(409,), tag="budgets"
    )
    def patch(self, request: Request, budget_id: UUID) -> HttpResponse:
        """Change its name, mode or thresholds, pause it, or set another amount (with a reason)."""
        _found(budget_id, caller(request))
        wanted, now = decode(request, BudgetPatch), timezone.now()
        if wanted.amount is not UNSET and not wanted.reason.strip():
            detail = "another amount needs a reason"
            raise Invalid(detail, errors=[FieldError("/reason", "required", detail)])
        _change(budget_id, wanted, now)
        return answer(shown(budgets.budget_status(_found(budget_id, caller(request)), now)))

    @operation("archive_budget", "Archive a budget", answers={204: None}, tag="budgets")
    def delete(self, request: Request, budget_id: UUID) -> HttpResponse:
        """Retire it for good: it counts and refuses nothing any more; its history stays."""
        _found(budget_id, caller(request))
        budgets.archive_budget(budget_id, now=timezone.now())
        return HttpResponse(status=204)


class BudgetRaise(ApiView):
    """Another amount for a budget."""

    required_scopes = {"POST": "budgets:write"}

    @operation(
        "raise_budget",
        "Raise a budget",
        body=Annotated[RaiseRequest, Meta(examples=[{"amount": "150.00", "reason": "launch week"}])],
        answers={201: BudgetRaised, 202: RaiseAsked},
        idempotent=True,
        tag="budgets",
    )
    def post(self, request: Request, budget_id: UUID) -> HttpResponse:
        """Set the amount from now on, higher or lower; with `expires_at` for a while, and only higher.

        A raise of a hard budget beyond BUDGET_RAISE_APPROVAL_PERCENT is asked for (202) and takes a second person.
        """
        _found(budget_id, caller(request))
        wanted = decode(request, RaiseRequest)
        return idempotent(request, lambda now: _raised(budget_id, wanted, now))


def _terms(wanted: NewBudget) -> BudgetTerms:
    return BudgetTerms(**msgspec.structs.asdict(wanted))


def _created(request: Request, terms: BudgetTerms, now: datetime) -> HttpResponse:
    budget = budgets.create_budget(terms, now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{budget.id}")
    made = BudgetCreated(budget_id=budget.id, mode=budget.mode, currency=budget.currency)
    return answer(made, 201, {"Location": location})


def _raised(budget_id: UUID, wanted: RaiseRequest, now: datetime) -> HttpResponse:
    revision = raise_or_ask(budget_id, wanted.amount, reason=wanted.reason, now=now, expires_at=wanted.expires_at)
    if isinstance(revision, Approval):
        return answer(RaiseAsked(budget_id=budget_id, approval_id=revision.pk, expires_at=revision.expires_at), 202)
    raised = BudgetRaised(
        budget_id=budget_id,
        budget_amount=to_text(revision.amount),
        effective_from=revision.effective_from,
        expires_at=revision.expires_at,
    )
    return answer(raised, 201)


@transaction.atomic
def _change(budget_id: UUID, wanted: BudgetPatch, now: datetime) -> None:
    """Make all changes or none."""
    if wanted.name is not UNSET or wanted.mode is not UNSET:
        change = BudgetChange(
            name=None if wanted.name is UNSET else wanted.name, mode=None if wanted.mode is UNSET else wanted.mode
        )
        budgets.change_budget(budget_id, change, now=now, reason=wanted.reason)
    if wanted.active is not UNSET:
        budgets.set_active(budget_id, active=wanted.active, now=now, reason=wanted.reason)
    if wanted.amount is not UNSET:
        if needs_approval(budget_id, wanted.amount, now=now):
            raise Conflict("A raise this large takes a second person: ask for it at …/raise.", code="approval_needed")
        budgets.raise_budget(budget_id, wanted.amount, reason=wanted.reason, now=now)
    if wanted.thresholds is not UNSET:
        terms = [ThresholdTerms(row.ratio, row.basis, row.severity) for row in wanted.thresholds]
        budgets.change_thresholds(budget_id, terms, now=now, reason=wanted.reason)


def _require_scope_of(identity: Identity, entity_type: str, entity_id: str) -> None:
    if entity_type or entity_id:
        identity.require_entity(entity_type, entity_id)
    else:
        identity.require_unbound()


def _found(budget_id: UUID, identity: Identity) -> Budget:
    """Return the budget; a key that is bound to an entity reaches that one's budgets only."""
    budget = Budget.objects.select_related("entity").filter(id=budget_id).first()
    if budget is None:
        raise Missing("there is no such budget")
    if budget.entity is None:
        identity.require_unbound()
    else:
        identity.require_entity(budget.entity.entity_type, budget.entity.entity_id)
    return budget


def _selected(wanted: BudgetQuery, identity: Identity) -> QuerySet[Budget]:
    own = identity.entity
    if own is not None and (wanted.entity_type or own[0], wanted.entity_id or own[1]) != own:
        raise Forbidden(f"this key is bound to {own[0]} {own[1]}", code="entity_forbidden")
    entity_type, entity_id = own or (wanted.entity_type, wanted.entity_id)
    exact = {"entity__entity_type": entity_type, "entity__entity_id": entity_id, "mode": wanted.mode}
    rows = Budget.objects.select_related("entity").filter(archived_at__isnull=not wanted.archived)
    return rows.filter(**{name: value for name, value in exact.items() if value is not None})


def shown(status: BudgetStatus) -> BudgetState:
    """Return how a budget stands for an answer; its entity is loaded with it."""
    budget = status.budget
    return BudgetState(
        budget_id=budget.id,
        budget_name=budget.name,
        entity_type=budget.entity.entity_type if budget.entity else "",
        entity_id=budget.entity.entity_id if budget.entity else "",
        cost_type=budget.cost_type,
        provider=budget.provider,
        model=budget.model,
        mode=budget.mode,
        active=budget.active,
        archived=budget.archived_at is not None,
        currency=budget.currency,
        budget_amount=to_text(status.limit),
        total_cost=to_text(status.spent),
        reserved=to_text(status.reserved),
        remaining=to_text(status.remaining),
        overrun=to_text(status.overrun),
        usage_percent=_number(status.usage_percent),
        is_over_budget=status.is_over_budget,
        should_alert=status.should_alert,
        alert_threshold=_number(status.alert_threshold),
        thresholds=[
            ThresholdState(ratio=float(row.ratio), basis=row.basis, severity=row.severity) for row in status.thresholds
        ],
        period=budget.period,
        period_start=status.period.start.astimezone(UTC),
        period_end=status.period.end.astimezone(UTC),
        time_zone=budget.time_zone,
        forecast=_forecast(status.forecast),
    )


def _number(share: Decimal | None) -> float | None:
    # Shares are no money: a number is what callers compare with.
    return None if share is None else float(share)


def _forecast(forecast: Forecast | None) -> BudgetForecast | None:
    if forecast is None:
        return None
    return BudgetForecast(
        expected=to_text(forecast.expected),
        low=to_text(forecast.low),
        high=to_text(forecast.high),
        method=forecast.method,
        history_days=forecast.history_days,
    )
