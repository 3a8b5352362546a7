"""The events of a batch added up by the budget and period they fall in: entity, filters and instant decide.

This runs for every event and every budget that counts it, so it does little: a look-up of the event's kind, two
comparisons with the period at hand, one addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from core.money import ZERO, multiply
from core.windows import Window
from costs.services.budgets.scopes import Scope, Scopes, Windows
from costs.services.budgets.settlement import Line
from costs.spend import Spend


class Cell:
    """What one budget counts in one period. Another currency is converted when the period's rate is known."""

    __slots__ = ("_kept", "end", "scope", "start", "total")

    def __init__(self, scope: Scope, window: Window) -> None:
        self.scope = scope
        self.start, self.end = window.start, window.end
        self.total = ZERO
        self._kept: list[Spend] = []

    def add(self, spend: Spend) -> None:
        """Count an event."""
        currency = self.scope.currency
        if spend.currency == currency:
            self.total += spend.amount
        elif currency == settings.BASE_CURRENCY:
            self.total += spend.base_amount or ZERO
        else:
            self._kept.append(spend)

    def amount(self, rate: Decimal) -> Decimal:
        """Return what was counted, in the budget's currency."""
        return sum((converted(spend, self.scope.currency, rate) for spend in self._kept), self.total)


class _Counter:
    """One budget's cells, the latest at hand: events of a batch are mostly of one period."""

    __slots__ = ("_cells", "_scope", "_windows", "at_hand")

    def __init__(self, scope: Scope, windows: Windows) -> None:
        self._scope, self._windows = scope, windows
        self._cells: dict[datetime, Cell] = {}
        self.at_hand: Cell | None = None

    @property
    def budget(self) -> UUID:
        return self._scope.id

    def cell(self, instant: datetime) -> Cell | None:
        """Return the cell of an instant; None before the period that the budget was made in."""
        window = self._windows.at(self._scope.calendar, instant)
        # Nobody set a limit for the periods before.
        if window.end <= self._scope.created_at:
            return None
        self.at_hand = self._cells.get(window.start) or Cell(self._scope, window)
        self._cells[window.start] = self.at_hand
        return self.at_hand

    def cells(self) -> Iterable[Cell]:
        """Return what was counted."""
        return self._cells.values()


def tally(spends: Sequence[Spend], settled: Mapping[UUID, Sequence[Line]], scopes: Scopes) -> list[Cell]:
    """Return what these events come to by budget and period, without the budgets that count them by a line."""
    if not scopes:
        return []
    windows = Windows()
    counters: dict[int, _Counter] = {}
    known: dict[tuple[int, str, str, str], list[_Counter]] = {}
    for spend in spends:
        kind = (spend.entity, spend.cost_type, spend.provider, spend.model)
        matching = known.get(kind)
        if matching is None:
            matching = known[kind] = [_counter(counters, scope, windows) for scope in scopes.of(*kind)]
        if matching:
            _count(spend, matching, settled)
    return [cell for counter in counters.values() for cell in counter.cells()]


def _counter(counters: dict[int, _Counter], scope: Scope, windows: Windows) -> _Counter:
    counter = counters.get(scope.number)
    if counter is None:
        counter = counters[scope.number] = _Counter(scope, windows)
    return counter


def _count(spend: Spend, matching: Iterable[_Counter], settled: Mapping[UUID, Sequence[Line]]) -> None:
    by_line = {line.budget for line in settled.get(spend.event, ())} if settled else ()
    instant = spend.occurred_at
    for counter in matching:
        if by_line and counter.budget in by_line:
            continue
        cell = counter.at_hand
        if cell is None or not cell.start <= instant < cell.end:
            cell = counter.cell(instant)
        if cell is not None:
            cell.add(spend)


def converted(spend: Spend, currency: str, rate: Decimal) -> Decimal:
    """Return what an event counts in a budget's currency; 0 until an exchange rate is known for it.

    The same currency counts as it is, any other by the frozen base amount and the rate frozen on the period, rounded
    half-even to 12 decimals.
    """
    if spend.currency == currency:
        return spend.amount
    return ZERO if spend.base_amount is None else multiply(spend.base_amount, rate)
