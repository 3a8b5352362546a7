"""The rules of each interval, ready to be judged, kept by every process until one of them changes.

Ten thousand rules are read from the database only when one was made, changed or deleted; otherwise a look at their
revisions tells that nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connection

from alerts.choices import EVALUATED_KINDS
from alerts.judging import Docket, Finding, Terms, terms_of
from alerts.models import AlertRule

# Of how many combinations of intervals the rules are kept; a platform has a handful.
KEPT = 16


class KeptRule(NamedTuple):
    """What is known of a rule besides its terms."""

    id: UUID
    revision: int
    no_data: str
    interval_seconds: int


class Loaded(NamedTuple):
    """The rules of some intervals, and the docket they are judged by, in the same order."""

    rules: Sequence[KeptRule]
    docket: Docket


_kept: dict[tuple[int, ...], tuple[list[Any], Loaded]] = {}


def load(intervals: Sequence[int]) -> Loaded:
    """Return the enabled rules of these intervals as they are now."""
    key = tuple(sorted(intervals))
    revisions = _revisions(key)
    kept = _kept.get(key)
    if kept is not None and kept[0] == revisions:
        return kept[1]
    if len(_kept) >= KEPT:
        _kept.clear()
    loaded = _load(key)
    _kept[key] = (revisions, loaded)
    return loaded


def _in_use(intervals: Sequence[int]) -> Any:
    rules = AlertRule.objects.filter(enabled=True, kind__in=EVALUATED_KINDS, interval_seconds__in=intervals)
    return rules.order_by("pk")


def _revisions(intervals: Sequence[int]) -> list[Any]:
    """Return id and revision of every rule, as the driver gives them: they are only compared."""
    sql, parameters = _in_use(intervals).values("pk", "revision").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _load(intervals: Sequence[int]) -> Loaded:
    rules: list[KeptRule] = []
    terms: list[Terms | Finding] = []
    for row in _in_use(intervals).values_list(*KeptRule._fields, "kind", "parameters"):
        rules.append(KeptRule(*row[:-2]))
        terms.append(_terms(*row[-2:]))
    return Loaded(rules, Docket(terms))


def _terms(kind: str, parameters: Mapping[str, object]) -> Terms | Finding:
    try:
        return terms_of(kind, parameters)
    except (msgspec.ValidationError, KeyError) as error:
        return Finding(error=f"the parameters are not those of this kind: {error}")
