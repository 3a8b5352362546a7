"""How long it takes to notice: minutes until a page or a ticket, by the evaluator over real buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slas import buckets
from slas.buckets import Aggregate
from slas.models import Slo
from slas.standing import standings
from slas.tests.objectives import sli, slo

BEGIN = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PER_MINUTE = 1_000
pytestmark = pytest.mark.django_db


def failing(bad: int, minutes: int) -> Slo:
    """Return an objective of 99.9 % with three days of good traffic, and then `bad` of 1,000 events a minute."""
    indicator = sli(lateness_seconds=30 * 86_400)
    before = [Aggregate(BEGIN - n * MINUTE, PER_MINUTE, PER_MINUTE) for n in range(1, 3 * 1_440 + 1)]
    after = [Aggregate(BEGIN + n * MINUTE, PER_MINUTE - bad, PER_MINUTE) for n in range(minutes)]
    buckets.record_events(indicator, [*before, *after], now=BEGIN + minutes * MINUTE)
    return slo(indicator)


def severity(objective: Slo, minute: int) -> str:
    found = standings([objective], BEGIN + minute * MINUTE)[0].firing
    return found.severity if found else ""


@pytest.mark.parametrize(("bad", "minutes"), [(1000, 1), (500, 2), (100, 9), (50, 18), (15, 58)])
def test_page__of_an_outage__comes_in_the_published_minute(bad: int, minutes: int) -> None:
    objective = failing(bad, minutes)

    said = [severity(objective, minute) for minute in range(minutes + 1)]

    assert said[:-1] == [""] * minutes
    assert said[-1] == "critical"


@pytest.mark.parametrize(("bad", "minutes", "word"), [(10, 217, "critical"), (5, 865, "medium")])
def test_slow_burn__is_noticed_in_the_published_minute(bad: int, minutes: int, word: str) -> None:
    objective = failing(bad, minutes)

    assert word not in {severity(objective, minute) for minute in range(0, minutes, 12)}
    assert severity(objective, minutes - 1) != word
    assert severity(objective, minutes) == word
