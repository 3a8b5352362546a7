"""Exclusions: subtracted visibly, approved by a second person, counted anew when they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import approvals
from core.errors import Conflict, Invalid
from core.models import Approval
from core.tests.approving import as_user
from core.tests.people import person
from core.windows import Window
from slas import buckets
from slas.buckets import Aggregate, Counts
from slas.buckets.retention import forget_old
from slas.choices import Series
from slas.models import Exclusion, Sli, SliBucket
from slas.services import exclusions
from slas.services.exclusions import ExclusionTerms
from slas.tests.objectives import sli

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Window(NOW - 24 * HOUR, NOW + HOUR)
pytestmark = pytest.mark.django_db


@pytest.fixture
def indicator() -> Sli:
    found = sli(lateness_seconds=30 * 86_400)
    items = [Aggregate(NOW - n * HOUR, 10 - n, 10) for n in range(1, 6)]
    buckets.record_events(found, items, now=NOW)
    return found


def counted(indicator: Sli, window: Window = DAY) -> Counts:
    return buckets.counts([indicator], [window])[indicator.pk, window]


def terms(indicator: Sli | None, begin: datetime, length: timedelta = HOUR, **changes: Any) -> ExclusionTerms:
    return ExclusionTerms(begin, begin + length, "planned", "database move", sli=indicator, **changes)


def approved(indicator: Sli, begin: datetime, run_on_commit: Any, length: timedelta = HOUR) -> Exclusion:
    """Ask as one person, approve as another."""
    maria = person("maria", permissions=("slas.add_exclusion",))
    otto = person("otto", permissions=("slas.add_exclusion", "slas.change_exclusion", "core.view_approval"))
    with as_user(maria):
        made = exclusions.exclude(terms(indicator, begin, length), now=NOW)
    request = Approval.objects.get(kind=exclusions.RETROACTIVE)
    with run_on_commit():
        approvals.approve(request.pk, by=otto, now=NOW, reason="agreed", digest=request.digest)
    approvals.carry_out(request.pk, clock=lambda: NOW)
    made.refresh_from_db()
    return made


def test_planned__is_in_force_at_once_and_takes_events_out_as_they_come(indicator: Sli) -> None:
    made = exclusions.exclude(terms(indicator, NOW), now=NOW)

    buckets.record_events(indicator, [Aggregate(NOW + HOUR / 2, 3, 10)], now=NOW + HOUR)

    assert made.approved_by == "system"
    assert counted(indicator) == Counts(38, 60, 3, 10)


def test_retroactive__counts_nothing_out_until_a_second_person_approves(indicator: Sli, run_on_commit: Any) -> None:
    before = counted(indicator)

    made = approved(indicator, NOW - 2 * HOUR, run_on_commit)

    assert made.approved_by == "otto"
    assert before == Counts(35, 50)
    assert counted(indicator) == Counts(35, 50, 8, 10)
    assert (counted(indicator).adjusted_good, counted(indicator).adjusted_total) == (27, 40)


def test_retroactive__refused__is_withdrawn_and_nothing_changes(indicator: Sli) -> None:
    maria, otto = person("maria", permissions=("slas.add_exclusion",)), person("otto", permissions=(
        "slas.add_exclusion", "slas.change_exclusion", "core.view_approval"))  # fmt: skip
    with as_user(maria):
        made = exclusions.exclude(terms(indicator, NOW - 2 * HOUR), now=NOW)
    request = Approval.objects.get(kind=exclusions.RETROACTIVE)

    approvals.refuse(request.pk, by=otto, now=NOW, reason="it was us")

    made.refresh_from_db()
    assert made.withdrawn_at == NOW
    assert counted(indicator) == Counts(35, 50)


def test_withdrawn__everything_counts_again(indicator: Sli, run_on_commit: Any) -> None:
    made = approved(indicator, NOW - 2 * HOUR, run_on_commit)

    exclusions.withdraw(made.pk, reason="it was announced too late", now=NOW)

    assert counted(indicator) == Counts(35, 50)
    with pytest.raises(Conflict):
        exclusions.withdraw(made.pk, reason="again", now=NOW)


def test_moved_into_the_past__is_withdrawn_and_asked_for_anew(indicator: Sli, run_on_commit: Any) -> None:
    made = approved(indicator, NOW - 2 * HOUR, run_on_commit)

    moved = exclusions.change(made.pk, starts_at=NOW - 4 * HOUR, ends_at=NOW - 3 * HOUR, reason="wrong hour", now=NOW)

    made.refresh_from_db()
    assert (made.withdrawn_at, moved.approved_by) == (NOW, "")
    assert counted(indicator) == Counts(35, 50)


def test_recurring__takes_out_every_local_hour_it_covers(indicator: Sli, run_on_commit: Any) -> None:
    maria = person("maria", permissions=("slas.add_exclusion",))
    otto = person("otto", permissions=("slas.add_exclusion", "slas.change_exclusion", "core.view_approval"))
    with as_user(maria):
        given = terms(None, NOW - 5 * HOUR, HOUR / 2, recurrence="FREQ=HOURLY;INTERVAL=2;COUNT=3", time_zone="UTC")
        exclusions.exclude(given, now=NOW)
    request = Approval.objects.get(kind=exclusions.RETROACTIVE)
    with run_on_commit():
        approvals.approve(request.pk, by=otto, now=NOW, reason="agreed", digest=request.digest)
    approvals.carry_out(request.pk, clock=lambda: NOW)

    assert counted(indicator) == Counts(35, 50, 5 + 7 + 9, 30)


def test_older_than_minutes__is_taken_out_pro_rata_and_flagged(indicator: Sli, run_on_commit: Any) -> None:
    old = NOW - timedelta(days=20, minutes=30)
    buckets.record_events(indicator, [Aggregate(old, 80, 100)], now=NOW)
    Sli.objects.update(lateness_seconds=172_800)
    forget_old(now=NOW)
    assert not SliBucket.objects.filter(resolution=60, start__lt=(NOW - timedelta(days=11)).timestamp()).exists()

    made = approved(indicator, old.replace(minute=45), run_on_commit, timedelta(minutes=15))

    assert made.estimated
    window = Window(old.replace(minute=0), old.replace(minute=0) + HOUR)
    assert counted(indicator, window) == Counts(80, 100, 20, 25)


def test_slices__are_judged_anew_with_their_exclusion(run_on_commit: Any) -> None:
    indicator = sli("timeslice", slice_seconds=300, slice_target=1)
    buckets.record_events(indicator, [Aggregate(NOW - timedelta(minutes=n), 0, 10) for n in (3, 8)], now=NOW)

    approved(indicator, NOW - timedelta(minutes=10), run_on_commit, timedelta(minutes=5))

    found = buckets.counts([indicator], [DAY], series=Series.SLICES)[indicator.pk, DAY]
    assert found == Counts(0, 2, 0, 1)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"ends_at": NOW - HOUR}, "/ends_at"),
        ({"starts_at": NOW.replace(second=1)}, "/starts_at"),
        ({"reason": " "}, "/reason"),
        ({"recurrence": "FREQ=DAILY"}, "/recurs_until"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
    ],
)
def test_exclude__what_makes_no_sense__is_refused_at_its_field(change: dict[str, Any], pointer: str) -> None:
    values: dict[str, Any] = {
        "starts_at": NOW, "ends_at": NOW + HOUR, "category": "planned", "reason": "x", **change,
    }  # fmt: skip

    with pytest.raises(Invalid) as refused:
        exclusions.exclude(ExclusionTerms(**values), now=NOW)

    assert pointer in {error.pointer for error in refused.value.errors}
    assert not Exclusion.objects.exists()
