"""What the ledger tells the budgets about each event it has written."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

UNNAMED: Final = UUID(int=0)
"""Stands for the event of a spend without a reservation, where nobody will ask which it was."""


class Spend(Struct, frozen=True, gc=False):
    """One written event with an amount, as a budget counts it; `event` matters only together with `reservation`.

    `entity` is the primary key of the entity. `reservation` is set only when this event is the one that settles it:
    then it counts on the reservation's lines and nowhere else. `amount` is negative for a reversal or a downward
    adjustment; `base_amount` is None as long as no exchange rate is known.
    """

    event: UUID
    entity: int
    cost_type: str
    provider: str
    model: str
    occurred_at: datetime
    amount: Decimal
    currency: str
    base_amount: Decimal | None
    reservation: UUID | None = None
