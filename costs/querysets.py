"""Reads of the ledger that read as phrases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self

from django.db import connections, models
from django.db.models.expressions import RawSQL

from core.money import MoneySum
from core.windows import Window

# Rows at or above the horizon are not in the rollups yet; without a fold state nothing is.
_HORIZON = "COALESCE((SELECT horizon FROM costs_foldstate WHERE id = 1), 0)::text::xid8"


class CostEventQuerySet(models.QuerySet[Any]):
    """Events of the ledger."""

    def for_entity(self, entity_type: str, entity_id: str) -> Self:
        """Keep the events of one entity, without what is below it."""
        return self.filter(entity__entity_type=entity_type, entity__entity_id=entity_id)

    def within(self, window: Window) -> Self:
        """Keep the events that occurred in the window."""
        return self.filter(occurred_at__gte=window.start, occurred_at__lt=window.end)

    def unfolded(self, *, known_horizon: int = 0) -> Self:
        """Keep what the rollups do not hold yet: nothing on SQLite, where they are written with the event.

        Read it in one statement with the rollups: a fold between two statements would count rows twice or not at all.
        A horizon that was read before is never above the present one. It changes nothing of what is found, and tells
        the planner how little that is; without it, it takes a third of the ledger for unfolded.
        """
        if connections[self.db].vendor != "postgresql":
            return self.none()
        rows = self.filter(RawSQL(f"costs_costevent.txid >= {_HORIZON}", (), models.BooleanField()))  # noqa: S611  # constant
        if not known_horizon:
            return rows
        return rows.filter(RawSQL("costs_costevent.txid >= %s::xid8", (str(known_horizon),), models.BooleanField()))

    def folded(self) -> Self:
        """Keep what the rollups hold; comparable with them only while the fold waits."""
        if connections[self.db].vendor != "postgresql":
            return self.all()
        return self.filter(RawSQL(f"costs_costevent.txid < {_HORIZON}", (), models.BooleanField()))  # noqa: S611  # constant

    def total(self) -> Decimal:
        """Return the exact sum of the base amounts."""
        total: Decimal = self.aggregate(total=MoneySum("base_amount"))["total"]
        return total


class FoldedQuerySet(models.QuerySet[Any]):
    """Rows of a rollup."""

    def total(self) -> Decimal:
        """Return the exact sum of the base amounts."""
        total: Decimal = self.aggregate(total=MoneySum("base_amount"))["total"]
        return total
