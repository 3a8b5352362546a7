"""What a rule finds now, for each label set, without opening an alert or telling anybody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alerts.choices import NoData
from alerts.judging import Docket, terms_of
from alerts.kinds import KINDS, floor_slot
from alerts.services.rule_terms import RuleTerms, check_terms
from core.errors import Invalid

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One label set: the value, and whether the rule would have an alert for it (None: it cannot tell)."""

    labels: Mapping[str, str]
    value: Decimal | None
    active: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule finds as of `slot`; `found` has the label sets that are wrong first, SHOWN at most of `count`."""

    slot: datetime
    found: tuple[Found, ...]
    count: int
    active_count: int
    error: str = ""
    waiting: bool = False


def try_rule(terms: RuleTerms, *, now: datetime, known_metrics: Collection[str] = ()) -> Trial:
    """Evaluate a rule once, saved or not; nothing is written. Raises Invalid for terms that could not be saved.

    `known_metrics` are those that a saved rule may wait for.
    """
    parameters = check_terms(terms, known_metrics=known_metrics)
    if KINDS[terms.kind].judge is None:
        raise Invalid(
            "A rule over conditions is not evaluated: it waits for what an app reports.", code="not_evaluated"
        )
    slot = floor_slot(now, terms.interval_seconds)
    (finding,) = Docket([terms_of(terms.kind, parameters)]).judge(slot)
    rows = [
        Found(dict(verdict.labels), verdict.value, _active(terms, verdict.active), verdict.note)
        for verdict in finding.verdicts
    ]
    if not rows and terms.no_data == NoData.FIRE:
        rows = [Found({}, None, True, finding.error or "no data")]
    rows.sort(key=lambda row: (not row.active, sorted(row.labels.items())))
    active = sum(bool(row.active) for row in rows)
    return Trial(slot, tuple(rows[:SHOWN]), len(rows), active, finding.error, finding.waiting)


def _active(terms: RuleTerms, active: bool | None) -> bool | None:
    if active is None and terms.no_data != NoData.IGNORE:
        return terms.no_data == NoData.FIRE
    return active
