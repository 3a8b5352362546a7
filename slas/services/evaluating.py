"""The evaluation of every minute: how objectives stand, which conditions follow, and what budget policies do.

Safe to run twice and twice at once: a status is written only over the one that was read, and everything that follows
from it is in the same transaction. Whoever comes second writes nothing; whoever dies leaves it to the next minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from django.db import transaction

from core.ports.conditions import Condition, clear_condition, raise_condition
from slas.announcing import labels, link, words
from slas.choices import SloState
from slas.models import Slo, SloStatus
from slas.periods import floored
from slas.services import statuses
from slas.services.policy_steps import take_steps
from slas.standing import Standing, pair_name, standings

CHUNK = 2_000
BURN, BUDGET = "slas.burn", "slas.budget"


def evaluate(now: datetime) -> int:
    """Bring the status of every enabled objective up to the last whole minute; return how many were written."""
    as_of, written = floored(now), 0
    for slos in _chunks(Slo.objects.filter(enabled=True).select_related("sli", "service").order_by("pk")):
        written += _evaluate(slos, as_of)
    return written


def evaluate_slo(slo: Slo, *, now: datetime) -> None:
    """Bring one objective up to date, after a change of its terms; a status of this minute is written anew."""
    with transaction.atomic():
        _evaluate([slo], floored(now), again=True)


def forget(slo: Slo, *, now: datetime) -> None:
    """Remove the status of an objective that is switched off, and right what it had said."""
    SloStatus.objects.filter(slo=slo).delete()
    for source in (BURN, BUDGET):
        clear_condition(Condition(source, str(slo.pk), "info", f"{slo} is no longer evaluated"), now=now)


@transaction.atomic
def _evaluate(slos: Sequence[Slo], as_of: datetime, *, again: bool = False) -> int:
    before = {status.slo_id: status for status in SloStatus.objects.filter(slo__in=[slo.pk for slo in slos])}
    due = [slo for slo in slos if again or slo.pk not in before or before[slo.pk].as_of < as_of]
    found = standings(due, as_of, was_firing={slo: status.firing for slo, status in before.items()})
    won = statuses.write(found, before)
    mine = [item for item in found if item.slo.pk in won]
    for item in mine:
        _tell(item, before.get(item.slo.pk))
    take_steps(mine, now=as_of)
    return len(mine)


def _tell(item: Standing, before: SloStatus | None) -> None:
    """Raise and clear what changed; the rest stands as it was said."""
    firing = pair_name(item.firing) if item.firing else ""
    was_firing = before.firing if before else ""
    if firing != was_firing:
        if firing:
            raise_condition(_burning(item), now=item.as_of)
        else:
            clear_condition(_burning(item), now=item.as_of)
    exhausted, was = item.state == SloState.EXHAUSTED, before is not None and before.state == SloState.EXHAUSTED
    if exhausted and not was:
        raise_condition(_exhausted(item), now=item.as_of)
    elif was and not exhausted:
        clear_condition(_exhausted(item), now=item.as_of)


def _burning(item: Standing) -> Condition:
    pair = item.firing
    severity = pair.severity if pair else "info"
    if pair is None:
        summary = f"{item.slo}: the error budget no longer burns too fast"
    else:
        rate = item.burns.get(int(pair.long.total_seconds()))
        summary = (
            f"{item.slo}: the error budget burns {float(rate or 0):.1f} times too fast over "
            f"{words(int(pair.long.total_seconds()))} (more than {float(pair.factor):g})"
        )
    return Condition(BURN, str(item.slo.pk), severity, summary, labels(item.slo), link(item.slo))


def _exhausted(item: Standing) -> Condition:
    used = item.consumed
    share = "" if used is None else f": {float(used):.0%} of it is used"
    # Burning it fast wakes people; that nothing is left is for the next working day.
    return Condition(
        BUDGET, str(item.slo.pk), "medium", f"{item.slo}: the error budget is exhausted{share}", labels(item.slo),
        link(item.slo),
    )  # fmt: skip


def _chunks(slos: Iterable[Slo]) -> Iterator[list[Slo]]:
    rows = iter(slos)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
