"""The periods of a contract: what each came to, and what is decided about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import Missing
from core.money import CONTEXT, to_text
from core.windows import midnight
from slas.api.contracts import ADMIN, READ, TAG, found
from slas.models import SLAContract, SLAPeriod
from slas.services import contracts as services

Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class PeriodReason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Reason


class PeriodCreditBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why, and under which number. Another `amount` than computed only ends a dispute."""

    reason: Reason
    amount: Decimal | None = None
    reference: Annotated[str, Meta(max_length=100)] = ""


class PeriodExclusion(msgspec.Struct, kw_only=True):
    """One time of an exclusion: how many minutes of it count, and why not all of them."""

    reason: str
    category: str
    start: str
    end: str
    minutes: int
    why: str


class PeriodState(msgspec.Struct, kw_only=True):
    """What a period came to. `good` of `total` are minutes or requests after exclusions, `raw_*` before.

    `availability` is good / total to 28 digits, for reading; tiers are compared with the exact fraction.
    """

    contract_id: UUID
    start: datetime
    end: datetime
    status: str
    revision: int
    availability: str | None
    good: int
    total: int
    raw_good: int
    raw_total: int
    excluded_minutes: int
    unmeasured_minutes: int
    exclusions: list[PeriodExclusion]
    currency: str
    fee: str | None
    credit_percent: str | None
    credit: str | None
    settled_credit: str | None
    credit_reference: str
    final_at: datetime | None
    claim_until: datetime | None
    status_reason: str
    status_by: str
    note: str


class PeriodQuery(PageQuery, kw_only=True):
    """Which periods are listed."""

    status: str | None = None


class PeriodList(WholeFleetView):
    """The periods of one contract."""

    required_scopes = {"GET": READ}

    @operation("list_periods", "List a contract's periods", query=PeriodQuery, answers={200: CursorPage[PeriodState]},
               tag=TAG)  # fmt: skip
    def get(self, request: Request, contract_id: UUID) -> HttpResponse:
        """Periods, the latest first."""
        wanted, contract = query(request, PeriodQuery), found(contract_id)
        rows = _rows(contract).filter(**({} if wanted.status is None else {"status": wanted.status}))
        return answer(paginate(request, rows, page=wanted, order=Order("start"), show=shown))


class PeriodDetail(WholeFleetView):
    """One period."""

    required_scopes = {"GET": READ}

    @operation("get_period", "Read a period", answers={200: PeriodState}, tag=TAG)
    def get(self, request: Request, contract_id: UUID, start: str) -> HttpResponse:
        """What the period came to; `start` is its first day in the contract's time zone, such as 2026-04-01."""
        return answer(shown(_period(contract_id, start)))


class PeriodCredit(WholeFleetView):
    """The credit of one period."""

    required_scopes = {"POST": "credits:write"}

    @operation("credit_period", "Mark a credit as given", body=PeriodCreditBody, answers={200: PeriodState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request, contract_id: UUID, start: str) -> HttpResponse:
        """Settle a final or disputed period: its credit was given."""
        wanted, period = decode(request, PeriodCreditBody), _period(contract_id, start)

        def act(now: datetime) -> SLAPeriod:
            return services.credit_period(
                period.pk, reason=wanted.reason, now=now, amount=wanted.amount, reference=wanted.reference
            )

        return idempotent(request, lambda now: answer(shown(act(now))))


class PeriodDispute(WholeFleetView):
    """A customer's objection."""

    required_scopes = {"POST": ADMIN}

    @operation("dispute_period", "Dispute a period", body=PeriodReason, answers={200: PeriodState}, idempotent=True,
               tag=TAG)  # fmt: skip
    def post(self, request: Request, contract_id: UUID, start: str) -> HttpResponse:
        """Note that the customer objects to a final period, within the contract's days for claims."""
        return _acted(request, _period(contract_id, start), services.dispute_period)


class PeriodReject(WholeFleetView):
    """The numbers stand."""

    required_scopes = {"POST": ADMIN}

    @operation("reject_dispute", "Reject a dispute", body=PeriodReason, answers={200: PeriodState}, idempotent=True,
               tag=TAG)  # fmt: skip
    def post(self, request: Request, contract_id: UUID, start: str) -> HttpResponse:
        """Decide that the numbers of a disputed period stand; it is final again."""
        return _acted(request, _period(contract_id, start), services.reject_dispute)


class PeriodWaive(WholeFleetView):
    """No credit after all."""

    required_scopes = {"POST": ADMIN}

    @operation("waive_period", "Waive a credit", body=PeriodReason, answers={200: PeriodState}, idempotent=True,
               tag=TAG)  # fmt: skip
    def post(self, request: Request, contract_id: UUID, start: str) -> HttpResponse:
        """Settle a final or disputed period without a credit."""
        return _acted(request, _period(contract_id, start), services.waive_period)


def _acted(request: Request, period: SLAPeriod, act: Callable[..., SLAPeriod]) -> HttpResponse:
    wanted = decode(request, PeriodReason)
    return idempotent(request, lambda now: answer(shown(act(period.pk, reason=wanted.reason, now=now))))


def _rows(contract: SLAContract) -> QuerySet[SLAPeriod]:
    rows = SLAPeriod.objects.filter(contract=contract).select_related("contract")
    return rows.prefetch_related("contract__revisions")


def _period(contract_id: UUID, start: str) -> SLAPeriod:
    contract = found(contract_id)
    try:
        first = midnight(date.fromisoformat(start), ZoneInfo(contract.time_zone)).astimezone(UTC)
    except ValueError as error:
        raise Missing("a period is named by its first day, such as 2026-04-01") from error
    period: SLAPeriod | None = _rows(contract).filter(start=first).first()
    if period is None:
        raise Missing(f"the contract has no period from {start} on")
    return period


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else to_text(value)


def shown(period: SLAPeriod) -> PeriodState:
    """Return a period for an answer."""
    share = CONTEXT.divide(Decimal(period.good), Decimal(period.total)) if period.total else None
    return PeriodState(
        contract_id=period.contract_id,
        start=period.start,
        end=period.end,
        status=period.status,
        revision=period.revision,
        availability=None if share is None else to_text(round(share, 28)),
        good=period.good,
        total=period.total,
        raw_good=period.raw_good,
        raw_total=period.raw_total,
        excluded_minutes=period.excluded_minutes,
        unmeasured_minutes=period.unmeasured_minutes,
        exclusions=[
            PeriodExclusion(**{name: row[name] for name in PeriodExclusion.__struct_fields__})
            for row in period.exclusions
        ],
        currency=period.currency,
        fee=_amount(period.fee),
        credit_percent=_amount(period.credit_percent),
        credit=_amount(period.credit),
        settled_credit=_amount(period.settled_credit),
        credit_reference=period.credit_reference,
        final_at=period.final_at,
        claim_until=services.claim_until(period),
        status_reason=period.status_reason,
        status_by=period.status_by,
        note=period.note,
    )
