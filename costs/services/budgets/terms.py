"""What a budget is asked to be, and whether that makes sense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import available_timezones

from core.errors import FieldError, Invalid
from core.money import ZERO, MoneyError, money
from costs.choices import BudgetMode, BudgetPeriodKind
from costs.services.budgets.periods import RateMissing, rate_of

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
MOST_RATIO = Decimal(10)
ANCHORS = {"daily": 1, "weekly": 7, "monthly": 31, "quarterly": 31, "yearly": 31}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """A budget to be made. A blank filter, or no entity, means everything; blanks elsewhere mean the default.

    `alert_threshold` is a share of the amount (0.8); None makes no threshold but the one at the full amount. `anchor`
    is the weekday a week begins on (1 Monday) or the day of the month that a longer period begins on.
    """

    name: str
    amount: Decimal
    period: str = BudgetPeriodKind.MONTHLY
    entity_type: str = ""
    entity_id: str = ""
    cost_type: str = ""
    provider: str = ""
    model: str = ""
    currency: str = ""
    anchor: int = 1
    time_zone: str = ""
    mode: str = BudgetMode.SOFT
    alert_threshold: Decimal | None = Decimal("0.8")
    forecast_threshold: Decimal | None = None


def check_terms(terms: BudgetTerms, *, currency: str, time_zone: str, now: datetime) -> None:
    """Raise Invalid with everything that is wrong with these terms, each at its field."""
    mistakes = [*_text_mistakes(terms), *_number_mistakes(terms), *_choice_mistakes(terms, time_zone)]
    try:
        rate_of(currency, now.date())
    except RateMissing as error:
        mistakes += error.errors
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def amount_mistakes(amount: Decimal) -> list[FieldError]:
    """Return what is wrong with a budget's amount."""
    try:
        negative = money(amount) < ZERO
    except MoneyError as error:
        return [FieldError("/amount", "invalid", str(error))]
    return [FieldError("/amount", "min_value", "A budget is 0 or more.")] if negative else []


def cost_type_mistakes(cost_type: str) -> list[FieldError]:
    """Return what is wrong with the cost type of a scope; blank means all of them."""
    if not cost_type or _WORD.match(cost_type):
        return []
    return [FieldError("/cost_type", "pattern", "Lower-case letters, digits and _, starting with a letter.")]


def _text_mistakes(terms: BudgetTerms) -> list[FieldError]:
    found = []
    if not terms.name.strip():
        found.append(FieldError("/name", "required", "A budget needs a name."))
    for field, longest in (("name", 120), ("entity_type", 32), ("entity_id", 200), ("provider", 64), ("model", 160)):
        if len(getattr(terms, field)) > longest:
            found.append(FieldError(f"/{field}", "max_length", f"At most {longest} characters."))
    if bool(terms.entity_type) != bool(terms.entity_id):
        field = "entity_id" if terms.entity_type else "entity_type"
        found.append(FieldError(f"/{field}", "required", "An entity is named by its type and its id."))
    return found


def _number_mistakes(terms: BudgetTerms) -> list[FieldError]:
    found = amount_mistakes(terms.amount)
    for field in ("alert_threshold", "forecast_threshold"):
        ratio = getattr(terms, field)
        found += [] if ratio is None else ratio_mistakes(f"/{field}", ratio)
    last = ANCHORS.get(terms.period)
    if last is not None and not 1 <= terms.anchor <= last:
        found.append(FieldError("/anchor", "out_of_range", f"For this period the anchor is from 1 to {last}."))
    return found


def ratio_mistakes(pointer: str, ratio: Decimal) -> list[FieldError]:
    """Return what is wrong with the share of a threshold."""
    # Four decimals are what the column holds.
    if not ratio.is_finite() or not 0 < ratio <= MOST_RATIO or round(ratio, 4) != ratio:
        detail = "A threshold is a share of the amount above 0, up to 10, with four decimals at most: 0.8 is 80 %."
        return [FieldError(pointer, "out_of_range", detail)]
    return []


def _choice_mistakes(terms: BudgetTerms, time_zone: str) -> list[FieldError]:
    found = []
    for field, choices in (("period", BudgetPeriodKind.values), ("mode", BudgetMode.values)):
        if getattr(terms, field) not in choices:
            found.append(FieldError(f"/{field}", "invalid_choice", f"One of {', '.join(choices)}."))
    found += cost_type_mistakes(terms.cost_type)
    if time_zone not in available_timezones():
        found.append(FieldError("/time_zone", "invalid_choice", "A time zone's name, such as Europe/Berlin."))
    return found
