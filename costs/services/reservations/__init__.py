"""Money set aside before a call: reserve, settle, release, extend, expire; never past a hard limit."""

from costs.services.reservations.asking import (
    DEFAULT_TTL,
    LONGEST_TTL,
    Ask,
    BudgetExceeded,
    ReservationConflict,
    Room,
)
from costs.services.reservations.closing import EXPIRE_AT_ONCE, Settled, expire_due, extend, release, settle
from costs.services.reservations.reserving import Held, Outlook, check, reserve

__all__ = [
    "DEFAULT_TTL",
    "EXPIRE_AT_ONCE",
    "LONGEST_TTL",
    "Ask",
    "BudgetExceeded",
    "Held",
    "Outlook",
    "ReservationConflict",
    "Room",
    "Settled",
    "check",
    "expire_due",
    "extend",
    "release",
    "reserve",
    "settle",
]
