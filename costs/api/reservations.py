"""Money set aside before a call: reserved, settled, extended, released; and the question whether it would fit."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.body import read_body
from core.api.decoding import decode
from core.api.idempotency import HEADER, REPLAYED
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Invalid, Missing
from core.money import to_text
from costs.api.events import text
from costs.inputs import (
    Count,
    CurrencyCode,
    EntityId,
    Meter,
    ModelName,
    Provider,
    Region,
    TagKey,
    TagValue,
    Tier,
    Word,
)
from costs.models import Reservation
from costs.services import reservations
from costs.services.reservations import Ask, BudgetExceeded, Outlook, Room

Amount = Annotated[Decimal, Meta(extra={"ge": 0}, description="Money: a string or a number, taken digit by digit.")]
Seconds = Annotated[int, Meta(ge=1, le=86_400, description="How long the money stays aside.")]
EXAMPLE = {
    "entity_type": "agent",
    "entity_id": "my-agent",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 1200,
    "max_output_tokens": 400,
}


class Spend(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A spend to come: `amount`, or a model with `input_tokens` and `max_output_tokens`, priced at its upper bound."""

    entity_type: Word
    entity_id: EntityId
    cost_type: Word = "llm_api"
    provider: Provider = ""
    model: ModelName = ""
    service_tier: Tier = "standard"
    region: Region = ""
    amount: Amount | None = None
    currency: Annotated[str, Meta(max_length=8)] = ""
    input_tokens: Count = 0
    max_output_tokens: Count | None = None
    quantities: dict[Meter, Decimal] = {}


class NewReservation(Spend, kw_only=True, forbid_unknown_fields=True):
    """A spend to set money aside for. The idempotency key may stand here or in the header."""

    ttl_seconds: Seconds = 900
    idempotency_key: Annotated[str, Meta(max_length=200)] | None = None


class BudgetRoom(msgspec.Struct, kw_only=True):
    """What a budget that applies has left, in its own currency. `requested` is null when nobody knows the price."""

    budget_id: UUID
    budget_name: str
    hard: bool
    currency: str
    remaining: str
    requested: str | None
    resets_at: datetime


class BudgetCheck(msgspec.Struct, kw_only=True):
    """Whether the spend would fit into every hard budget right now; the tightest is named first."""

    allowed: bool
    reason: str | None
    tightest: BudgetRoom | None
    budgets: list[BudgetRoom]


class ReservationState(msgspec.Struct, kw_only=True):
    """A reservation. `actual` is what the call cost, `overrun` what of it went past what was set aside."""

    reservation_id: UUID
    status: Literal["pending", "settled", "released", "expired"]
    entity_type: str
    entity_id: str
    cost_type: str
    provider: str
    model: str
    amount: str
    currency: str
    actual: str | None
    overrun: str
    record_id: UUID | None
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class Settlement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a call cost: `amount`, or token counts. What is left out is as it was reserved."""

    amount: Amount | None = None
    currency: CurrencyCode | None = None
    occurred_at: datetime | None = None
    provider: Provider | None = None
    model: ModelName | None = None
    service_tier: Tier | None = None
    region: Region | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    audio_input_tokens: Count | None = None
    audio_output_tokens: Count | None = None
    quantities: dict[Meter, Decimal] | None = None
    tags: dict[TagKey, TagValue] | None = None
    metadata: dict[str, Any] | None = None
    trace_id: Annotated[str, Meta(max_length=32)] | None = None
    span_id: Annotated[str, Meta(max_length=16)] | None = None
    session_id: Annotated[str, Meta(max_length=200)] | None = None


class SettledReservation(msgspec.Struct, kw_only=True):
    """The cost that was recorded, and the reservation it settled.

    While nobody can price the cost (`price_status` unpriced) the reservation stays pending and holds its money.
    """

    reservation_id: UUID
    status: Literal["pending", "settled", "released", "expired"]
    record_id: UUID
    amount: str | None
    currency: str
    price_status: str
    reserved: str
    overrun: str


class Extension(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How much longer the money is needed, counted from now."""

    ttl_seconds: Seconds = 900


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No fields."""


class SpendCheck(ApiView):
    """Would it fit?"""

    required_scopes = {"POST": "budgets:read"}

    @operation(
        "check_budgets",
        "Ask whether a spend fits",
        body=Annotated[Spend, Meta(examples=[EXAMPLE])],
        answers={200: BudgetCheck},
        tag="budgets",
    )
    def post(self, request: Request) -> HttpResponse:
        """Look whether a spend fits into every hard budget now. Sets nothing aside: the next moment may differ."""
        wanted = decode(request, Spend)
        caller(request).require_entity(wanted.entity_type, wanted.entity_id)
        return answer(_checked(reservations.check(_ask(wanted), now=timezone.now())))


class ReservationList(ApiView):
    """Set money aside."""

    required_scopes = {"POST": "costs:write"}

    @operation(
        "reserve",
        "Set money aside",
        body=Annotated[NewReservation, Meta(examples=[EXAMPLE])],
        answers={201: ReservationState},
        problems=(402,),
        idempotent=True,
        tag="reservations",
    )
    def post(self, request: Request) -> HttpResponse:
        """Set the most a call can cost aside on every budget that applies, or on none.

        402 when a hard budget has no room; the answer names the tightest budget, what is left and when it begins anew.
        """
        wanted = decode(request, NewReservation)
        caller(request).require_entity(wanted.entity_type, wanted.entity_id)
        key = _key(wanted.idempotency_key, request.headers.get(HEADER))
        try:
            held = reservations.reserve(
                _ask(wanted),
                client=caller(request).family,
                key=key,
                now=timezone.now(),
                ttl=timedelta(seconds=wanted.ttl_seconds),
            )
        except BudgetExceeded as refused:
            raise _payment_required(refused) from refused
        made = _shown(held.reservation, (wanted.entity_type, wanted.entity_id))
        return answer(made, 201, None if held.created else {REPLAYED: "true"})


class ReservationDetail(ApiView):
    """One reservation."""

    required_scopes = {"GET": "budgets:read"}

    @operation("get_reservation", "Show a reservation", answers={200: ReservationState}, tag="reservations")
    def get(self, request: Request, reservation_id: UUID) -> HttpResponse:
        """What is, or was, set aside, and what became of it."""
        reservation = Reservation.objects.select_related("entity").filter(id=reservation_id).first()
        if reservation is None:
            raise Missing("there is no such reservation")
        entity = (reservation.entity.entity_type, reservation.entity.entity_id)
        caller(request).require_entity(*entity)
        return answer(_shown(reservation, entity))


class ReservationSettlement(ApiView):
    """The end of a reservation whose call was made."""

    required_scopes = {"POST": "costs:write"}

    @operation(
        "settle_reservation",
        "Settle a reservation",
        body=Annotated[Settlement, Meta(examples=[{"input_tokens": 1200, "output_tokens": 310}])],
        answers={200: SettledReservation},
        problems=(409,),
        tag="reservations",
    )
    def post(self, request: Request, reservation_id: UUID) -> HttpResponse:
        """Record what the call cost and count it instead of what was set aside, also when that has expired.

        Settling again with the same content answers the same and records nothing.
        """
        wanted = decode(request, Settlement)
        spent = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        settled = reservations.settle(reservation_id, spent, client=caller(request).family, now=timezone.now())
        reservation = settled.reservation
        return answer(
            SettledReservation(
                reservation_id=reservation.id,
                status=reservation.status,  # type: ignore[arg-type]  # one of the choices
                record_id=settled.record_id,
                amount=text(settled.amount),
                currency=settled.currency,
                price_status=settled.price_status,
                reserved=to_text(reservation.amount),
                overrun=to_text(reservation.overrun),
            ),
            headers={REPLAYED: "true"} if settled.repeated else None,
        )


class ReservationExtension(ApiView):
    """More time for a reservation."""

    required_scopes = {"POST": "costs:write"}

    @operation(
        "extend_reservation",
        "Keep money aside longer",
        body=Extension,
        answers={200: ReservationState},
        problems=(409,),
        tag="reservations",
    )
    def post(self, request: Request, reservation_id: UUID) -> HttpResponse:
        """Keep the money aside until so many seconds from now, for a call that takes its time."""
        ttl = timedelta(seconds=decode(request, Extension).ttl_seconds)
        found = reservations.extend(reservation_id, ttl=ttl, client=caller(request).family, now=timezone.now())
        return answer(_shown(found, _entity_of(found)))


class ReservationRelease(ApiView):
    """The end of a reservation whose call was not made."""

    required_scopes = {"POST": "costs:write"}

    @operation(
        "release_reservation",
        "Give money back",
        body=Nothing,
        answers={200: ReservationState},
        problems=(409,),
        tag="reservations",
    )
    def post(self, request: Request, reservation_id: UUID) -> HttpResponse:
        """Give back what was set aside because nothing was spent; the body may be empty."""
        if request.META.get("CONTENT_LENGTH") not in {None, "", "0"} and read_body(request).strip():
            decode(request, Nothing)
        found = reservations.release(reservation_id, client=caller(request).family, now=timezone.now())
        return answer(_shown(found, _entity_of(found)))


def _ask(wanted: Spend) -> Ask:
    return Ask(**{name: getattr(wanted, name) for name in Spend.__struct_fields__})


def _key(given: str | None, header: str | None) -> str:
    """Return the key of the body or the header; without one, the reservation cannot be asked for again."""
    if given is not None and header is not None and given != header:
        detail = "the header and the body name different idempotency keys"
        raise Invalid(detail, errors=[FieldError("/idempotency_key", "different", detail)])
    return next((key for key in (given, header) if key is not None), uuid4().hex)


def _payment_required(refused: BudgetExceeded) -> Problem:
    members = msgspec.to_builtins(_room(refused.tightest)) | {"reason": refused.reason}
    return Problem(402, refused.detail, code=refused.code, members=members)


def _checked(outlook: Outlook) -> BudgetCheck:
    return BudgetCheck(
        allowed=outlook.fits,
        reason=outlook.reason,
        tightest=None if outlook.tightest is None else _room(outlook.tightest),
        budgets=[_room(room) for room in outlook.rooms],
    )


def _room(room: Room) -> BudgetRoom:
    return BudgetRoom(
        budget_id=room.budget,
        budget_name=room.name,
        hard=room.hard,
        currency=room.currency,
        remaining=to_text(room.room),
        requested=text(room.asked),
        resets_at=room.resets_at,
    )


def _entity_of(reservation: Reservation) -> tuple[str, str]:
    return reservation.entity.entity_type, reservation.entity.entity_id


def _shown(reservation: Reservation, entity: tuple[str, str]) -> ReservationState:
    return ReservationState(
        reservation_id=reservation.id,
        status=reservation.status,  # type: ignore[arg-type]  # one of the choices
        entity_type=entity[0],
        entity_id=entity[1],
        cost_type=reservation.cost_type,
        provider=reservation.provider,
        model=reservation.model,
        amount=to_text(reservation.amount),
        currency=reservation.currency,
        actual=text(reservation.actual),
        overrun=to_text(reservation.overrun),
        record_id=reservation.event,
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
        closed_at=reservation.closed_at,
    )
