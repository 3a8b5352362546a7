"""Writing of statuses: many in one statement, each only if nobody has written it since it was read."""

# ruff: noqa: S608  # the statements are fixed texts, every value is a parameter

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import connection

from slas.models import SloStatus
from slas.standing import Standing, pair_name

TYPES = {
    "slo_id": "uuid", "as_of": "timestamptz", "revision": "integer", "state": "text", "since": "timestamptz",
    "period_start": "timestamptz", "period_end": "timestamptz", "good": "bigint", "total": "bigint",
    "raw_good": "bigint", "raw_total": "bigint", "sli": "numeric", "consumed": "numeric", "budget_events": "numeric",
    "burn": "jsonb", "firing": "text", "exhausted_at": "timestamptz",
}  # fmt: skip
_COLUMNS = ", ".join(TYPES)
_SET = ", ".join(f"{name} = excluded.{name}" for name in TYPES if name != "slo_id")
# A status is replaced only while it is the one that was read: what follows from the change happens once.
_WRITE = {
    "postgresql": f"""
INSERT INTO slas_slostatus ({_COLUMNS})
SELECT {_COLUMNS} FROM json_to_recordset(%s) AS r({", ".join(f"{name} {kind}" for name, kind in TYPES.items())})
ON CONFLICT (slo_id) DO UPDATE SET {_SET}
WHERE slas_slostatus.as_of = ((%s)::jsonb ->> slas_slostatus.slo_id::text)::timestamptz
RETURNING slo_id
""",
    "sqlite": f"""
INSERT INTO slas_slostatus ({_COLUMNS})
SELECT {", ".join(f"value ->> '{name}'" for name in TYPES)} FROM json_each(%s) WHERE true
ON CONFLICT (slo_id) DO UPDATE SET {_SET}
WHERE slas_slostatus.as_of = json_extract(%s, '$."' || slas_slostatus.slo_id || '"')
RETURNING slo_id
""",
}
_RATIO, _SHARE, _EVENTS = Decimal("1e-12"), Decimal("1e-9"), Decimal("1e-3")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
MOST = Decimal(10) ** 14


def write(found: Iterable[Standing], before: Mapping[UUID, SloStatus]) -> set[UUID]:
    """Write the statuses and return those that were written; the others were changed by somebody else meanwhile."""
    rows = sorted((_values(item, before.get(item.slo.pk)) for item in found), key=lambda row: str(row["slo_id"]))
    if not rows:
        return set()
    read = {_id(slo): _instant(status.as_of) for slo, status in before.items()}
    with connection.cursor() as cursor:
        cursor.execute(_WRITE[connection.vendor], [json.dumps(rows), json.dumps(read)])
        return {row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()}


def decimal(value: Fraction | None, quantum: Decimal) -> Decimal | None:
    """Return an exact share as a decimal for reading; what is decided was decided before."""
    if value is None:
        return None
    exact = _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return max(-MOST, min(MOST, exact)).quantize(quantum, context=_WIDE)


def ratio(item: Standing) -> Decimal | None:
    """Return the share that was good, to 12 decimals; never 1 while anything was bad."""
    share = item.level.sli
    if share is None:
        return None
    found = decimal(share, _RATIO)
    return min(found, 1 - _RATIO) if found is not None and share < 1 else found


def share(value: Fraction | None) -> Decimal | None:
    """Return a share of the budget to 9 decimals."""
    return decimal(value, _SHARE)


def _values(item: Standing, before: SloStatus | None) -> dict[str, Any]:
    state, numbers = item.state, item.numbers
    since = before.since if before is not None and before.state == state else item.as_of
    left = item.exhausted_in
    return {
        "slo_id": _id(item.slo.pk),
        "as_of": _instant(item.as_of),
        "revision": item.slo.revision,
        "state": str(state),
        "since": _instant(since),
        "period_start": _instant(item.period.start),
        "period_end": _instant(item.period.end),
        "good": None if numbers is None else numbers.good - numbers.excluded_good,
        "total": None if numbers is None else numbers.total - numbers.excluded_total,
        "raw_good": None if numbers is None else numbers.good,
        "raw_total": None if numbers is None else numbers.total,
        "sli": _text(ratio(item)),
        "consumed": _text(share(item.consumed)),
        "budget_events": _text(decimal(item.budget, _EVENTS)),
        "burn": _json({str(length): _text(share(rate)) for length, rate in item.burns.items()}),
        "firing": pair_name(item.firing) if item.firing else "",
        "exhausted_at": None if left is None else _instant(item.as_of + left),
    }


def _id(slo: UUID) -> str:
    return str(slo) if connection.vendor == "postgresql" else slo.hex


def _instant(value: datetime) -> str:
    # SQLite keeps instants as text in its own form, and compares them as text.
    return str(connection.ops.adapt_datetimefield_value(value))


def _json(value: Mapping[str, Any]) -> Any:
    return value if connection.vendor == "postgresql" else json.dumps(value)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
