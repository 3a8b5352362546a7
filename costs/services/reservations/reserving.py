"""Setting money aside before a call, and looking whether it could be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from core.errors import Conflict
from core.ids import uuid7
from core.money import CONTEXT, ZERO
from costs.choices import BudgetMode
from costs.models import BudgetPeriod, Entity, Reservation
from costs.services import entities
from costs.services.budgets.periods import create_periods, refresh_stale
from costs.services.budgets.scopes import calendar_of, enforced_budgets, window_of
from costs.services.budgets.standing import standings
from costs.services.reservations import postgresql, sqlite
from costs.services.reservations.asking import (
    DEFAULT_TTL,
    Ask,
    BudgetExceeded,
    Reason,
    ReservationConflict,
    Room,
    bound_of,
    check_ask,
    content_hash,
)
from costs.services.reservations.decision import Decision, Wish

# A period, a limit and an entity may be missing one after the other; more often than that nothing settles down.
MOST_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation, and whether this call made it or an earlier one with the same key and content."""

    reservation: Reservation
    created: bool
    tightest: Room | None = None


def reserve(ask: Ask, *, client: UUID, key: str, now: datetime, ttl: timedelta = DEFAULT_TTL) -> Held:
    """Set the most a spend can cost aside on every budget that applies, or on none.

    The same key with the same content returns what the first call made, whatever has become of it since. Raises
    BudgetExceeded when a hard budget has no room or nobody knows what the call may cost, ReservationConflict for a key
    used with other content, and Invalid. The limit is never passed, however many ask at once.
    Call it outside a transaction: the decision commits by itself, and holds up nobody longer than it takes.
    """
    check_ask(ask, key=key, ttl=ttl)
    wish = Wish(uuid7(), client, key, content_hash(ask, ttl), ask, bound_of(ask, now=now), now, now + ttl)
    for _ in range(MOST_ATTEMPTS):
        decision = _decide(wish)
        if decision.outcome == "held":
            return Held(_made(wish, decision), created=True, tightest=decision.tightest)
        if decision.outcome in {"known", "taken"}:
            known = _known(wish)
            if known is not None:
                return known
        elif decision.outcome == "refused":
            # Somebody with the same key may have taken the room while we waited for it.
            return _known(wish) or _refuse(wish, decision)
        else:
            _prepare(wish, decision)
    raise Conflict("The budgets are being changed just now; try again.", code="busy")


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether a spend would fit right now, and what each budget that applies has left, the tightest first."""

    fits: bool
    rooms: Sequence[Room]
    reason: Reason | None = None

    @property
    def tightest(self) -> Room | None:
        """The hard budget that is short of most, or has least left."""
        return next((room for room in self.rooms if room.hard), None)


def check(ask: Ask, *, now: datetime) -> Outlook:
    """Say whether the spend would fit into every hard budget now; sets nothing aside and writes nothing."""
    check_ask(ask, key="check", ttl=DEFAULT_TTL)
    bound = bound_of(ask, now=now)
    entity = Entity.objects.filter(entity_type=ask.entity_type, entity_id=ask.entity_id).values_list("id", flat=True)
    budgets = list(enforced_budgets(entity.first(), ask.cost_type, ask.provider, ask.model))
    found = standings(budgets, now=now)
    rooms = []
    for budget in budgets:
        standing = found[budget.id]
        left = CONTEXT.subtract(CONTEXT.subtract(standing.limit, standing.spent), standing.reserved)
        asked = sqlite.asked_of(bound, budget.currency, standing.rate)
        hard = budget.mode == BudgetMode.HARD
        rooms.append(Room(budget.id, budget.name, hard, budget.currency, left, asked, standing.window.end))
    rooms.sort(key=lambda room: (room.asked is not None, room.room - (room.asked or ZERO), room.budget))
    refusing = next((room for room in rooms if room.refuses), None)
    return Outlook(refusing is None, rooms, None if refusing is None else _reason(bound.amount is None, refusing))


def _decide(wish: Wish) -> Decision:
    return postgresql.decide(wish) if connection.vendor == "postgresql" else sqlite.decide(wish)


def _made(wish: Wish, decision: Decision) -> Reservation:
    if decision.entity is None:
        raise RuntimeError("money is held for somebody")
    reservation = Reservation(
        id=wish.id,
        client=wish.client,
        key=wish.key,
        content_hash=wish.content_hash,
        entity_id=decision.entity,
        cost_type=wish.ask.cost_type,
        provider=wish.ask.provider,
        model=wish.ask.model,
        amount=wish.bound.amount or ZERO,
        currency=wish.bound.currency,
        created_at=wish.now,
        expires_at=wish.expires_at,
    )
    reservation._state.adding = False
    reservation._state.db = connection.alias
    return reservation


def _known(wish: Wish) -> Held | None:
    reservation = Reservation.objects.filter(client=wish.client, key=wish.key).first()
    if reservation is None:
        return None
    if reservation.content_hash != wish.content_hash:
        raise ReservationConflict("This key was used to reserve something else.")
    return Held(reservation, created=False)


def _refuse(wish: Wish, decision: Decision) -> Held:
    if decision.tightest is None:
        raise RuntimeError("a refusal names the budget it comes from")
    reason = _reason(wish.bound.amount is None, decision.tightest)
    raise BudgetExceeded(decision.tightest, reason=reason, why=wish.bound.reason)


def _reason(unpriced: bool, room: Room) -> Reason:
    if unpriced:
        return "unpriced"
    return "unconvertible" if room.asked is None else "exceeded"


def _prepare(wish: Wish, decision: Decision) -> None:
    """Make what the decision found missing, in transactions of its own."""
    ask = wish.ask
    if decision.outcome == "unknown_entity":
        entities.resolve([(ask.entity_type, ask.entity_id)], now=wish.now)
        return
    budgets = list(enforced_budgets(decision.entity, ask.cost_type, ask.provider, ask.model))
    if decision.outcome == "missing_period":
        create_periods([(budget.id, window_of(calendar_of(budget), wish.now)) for budget in budgets], now=wish.now)
    else:
        refresh_stale(BudgetPeriod.objects.filter(budget__in=budgets), now=wish.now)
