"""What incidents and on-call offer to the platform."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from alerts import reliability
from alerts.incident_panels import build_incidents
from alerts.models import ContactMethod
from alerts.reliability import words
from alerts.services import incidents
from alerts.tasks import check_schedules
from alerts.tests.incident_case import bare, manual, pageable, policy, schedule
from core.models import ConditionRecord
from core.ports.metrics import metrics
from core.ports.panels import Figure
from core.ports.privacy import Subject, personal_data
from core.windows import Window

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
HOUR = timedelta(hours=1)


def test_metric__open_incidents__are_those_of_the_end_of_the_window(now: datetime) -> None:
    manual(now, severity="high")
    over = manual(now, severity="high")
    manual(now + 2 * HOUR, severity="low")
    incidents.resolve(over.pk, now=now + HOUR)
    metric = metrics.get("alerts.incidents_open")

    early = metric.read(Window(now, now + HOUR / 2), None, None)
    late = metric.read(Window(now, now + 3 * HOUR), None, None)
    asked = metric.read(Window(now, now + 3 * HOUR), [{"severity": "low"}], None)
    total = metric.read(Window(now, now + 3 * HOUR), [{}], None)

    assert [(dict(sample.labels), sample.value) for sample in early] == [({"severity": "high"}, Decimal(2))]
    assert {sample.labels["severity"]: sample.value for sample in late} == {"high": 1, "low": 1}
    assert [sample.value for sample in asked] == [1]
    assert [sample.value for sample in total] == [2]


def test_personal_data__contact_methods__are_given_out_and_erased() -> None:
    pageable("ada")
    pageable("grace")
    store, ada = personal_data.get("alerts.contact_methods"), Subject("user", "ada")

    given = list(store.export(ada))
    erased = (store.erase(ada), store.erase(ada))

    assert [row["address"] for row in given] == ["ada-0@example.org"]
    assert erased == (1, 0)
    assert ContactMethod.objects.get().user.username == "grace"
    assert list(store.export(Subject("external", "grace"))) == []


def test_task__check_schedules__delivered_twice__raises_once(now: datetime) -> None:
    found = schedule(now, pageable("ada"))
    found.rotations.all().delete()
    policy(found)

    check_schedules()
    check_schedules()

    assert ConditionRecord.objects.get(key=str(found.pk)).revision == 1


def test_panel__nothing_yet__is_empty(now: datetime) -> None:
    assert build_incidents(now) == []


def test_panel__one_that_nobody_has__says_for_how_long(now: datetime) -> None:
    manual(now - 2 * HOUR)

    figures = [item for item in build_incidents(now) if isinstance(item, Figure)]

    assert [(item.label, item.value, item.note) for item in figures[:2]] == [
        ("Incidents open", "1", ""), ("Nobody has", "1", "oldest for 2 h 00 min"),
    ]  # fmt: skip


def test_figures__of_no_incident__are_unknown_not_zero() -> None:
    found = reliability.figures([])

    assert (found.incident_count, found.mtta, found.mttr, found.mttd) == (0, None, None, None)


def test_figures__resolved_by_itself__counts_to_resolve_and_not_to_acknowledge(now: datetime) -> None:
    incident = manual(now)
    incidents.resolve(incident.pk, now=now + HOUR)
    incident.refresh_from_db()
    incident.acknowledged_at = None
    reopened = manual(now)
    incidents.acknowledge(reopened.pk, now=now + HOUR / 2)
    incidents.resolve(reopened.pk, now=now + HOUR)
    incidents.reopen(reopened.pk, now=now + 2 * HOUR)
    incidents.resolve(reopened.pk, now=now + 3 * HOUR)
    reopened.refresh_from_db()

    found = reliability.figures([incident, reopened])

    assert (found.answered_count, found.mtta, found.mttr) == (1, HOUR / 2, 2 * HOUR)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3900, "1 h 05 min"), (172_800, "2 d 0 h")],
)
def test_words__of_a_length__are_short(seconds: int, said: str) -> None:
    assert words(timedelta(seconds=seconds)) == said
