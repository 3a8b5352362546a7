"""On-call by the tables: deleted people, overrides, gaps that raise conditions, editing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from alerts.models import EscalationStep, OnCallSchedule, Override
from alerts.services import oncall, oncall_editing
from alerts.services.oncall_editing import RotationTerms, ScheduleTerms
from alerts.tests.incident_case import bare, pageable, policy, schedule
from core.errors import Conflict, Invalid, Missing
from core.models import AuditEntry, ConditionRecord
from core.windows import Window

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _names(found: OnCallSchedule, begin: datetime, days: int) -> list[str]:
    segments = oncall.final(found, Window(begin, begin + days * DAY))
    return [segment.person.name if segment.person else "" for segment in segments]


def test_user_on_call__daily_turns__is_the_one_whose_day_it_is(now: datetime) -> None:
    found = schedule(now, pageable("ada"), pageable("grace"))

    on_call = [oncall.user_on_call(found, now + days * DAY) for days in (0, 1, 2)]

    assert [user.username if user else "" for user in on_call] == ["ada", "grace", "ada"]


def test_deleted_account__keeps_its_place_and_is_reported(now: datetime) -> None:
    found = schedule(now, pageable("ada"), pageable("grace"), pageable("eve"))
    before = _names(found, now, 4)
    User.objects.get(username="grace").delete()

    after = _names(found, now, 4)
    oncall.check_schedules(now)

    # Two days ago ada had the first turn, so eve has today's; grace's falls to eve.
    assert before == ["eve", "ada", "grace", "eve", "ada"]
    assert after == ["eve", "ada", "eve", "ada"]
    assert "Without an active account: grace" in ConditionRecord.objects.get(firing=True).summary


def test_override__given_and_taken_back__is_audited(now: datetime) -> None:
    found, eve = schedule(now, pageable("ada")), pageable("eve")

    override = oncall_editing.add_override(found.pk, eve, starts_at=now, ends_at=now + HOUR, reason="dentist", now=now)
    covered = oncall.user_on_call(found, now)
    oncall_editing.remove_override(found.pk, override.pk, now=now)

    assert covered == eve
    assert oncall.user_on_call(found, now) != eve
    acts = AuditEntry.objects.filter(subject_id=str(found.pk)).order_by("pk").values_list("action", flat=True)
    assert list(acts)[-2:] == ["oncallschedule.overridden", "oncallschedule.override_removed"]


@pytest.mark.parametrize(("begins", "ends"), [(2, 1), (-3, -1)])
def test_override__that_cannot_be__is_refused(now: datetime, begins: int, ends: int) -> None:
    found, eve = schedule(now, pageable("ada")), pageable("eve")

    with pytest.raises(Invalid):
        oncall_editing.add_override(found.pk, eve, starts_at=now + begins * HOUR, ends_at=now + ends * HOUR, now=now)

    assert not Override.objects.exists()


def test_check__gap_in_the_coming_thirty_days__raises_and_clears(now: datetime) -> None:
    found = schedule(now, pageable("ada"))
    rotation = found.rotations.get()
    rotation.ends_at = now + 10 * DAY
    rotation.save()

    wanting = oncall.check_schedules(now)
    rotation.ends_at = None
    rotation.save()
    fine = oncall.check_schedules(now)

    condition = ConditionRecord.objects.get(source=oncall.SOURCE, key=str(found.pk))
    assert (wanting, fine) == (1, 0)
    assert condition.firing is False
    assert condition.severity == "medium"


def test_check__empty_schedule__counts_only_when_a_policy_relies_on_it(now: datetime) -> None:
    terms = ScheduleTerms(slug="ops", name="Operations", time_zone="Europe/Berlin", rotations=[])
    found = oncall_editing.create_schedule(terms, now=now)

    unused = oncall.check_schedules(now)
    policy(found)
    used = oncall.check_schedules(now)

    assert (unused, used) == (0, 1)
    assert ConditionRecord.objects.get().severity == "high"


def test_create__every_mistake__is_named_at_its_place(now: datetime) -> None:
    rotation = RotationTerms(
        name=" ", starts_at=now, members=[], kind="fortnightly", turn_length=0, ends_at=now,
        restrictions=[{"from": "Mon 9", "to": "Mon 17:00"}],
    )  # fmt: skip
    terms = ScheduleTerms(slug="no good", name="", time_zone="Berlin", rotations=[rotation])

    with pytest.raises(Invalid) as refused:
        oncall_editing.create_schedule(terms, now=now)

    assert [error.pointer for error in refused.value.errors] == [
        "/name", "/slug", "/time_zone", "/rotations/0/name", "/rotations/0/kind", "/rotations/0/turn_length",
        "/rotations/0/members", "/rotations/0/ends_at", "/rotations/0/restrictions/0",
    ]  # fmt: skip
    assert not OnCallSchedule.objects.exists()


def test_delete__schedule_in_a_policy__is_refused_and_stays(now: datetime) -> None:
    found = schedule(now, pageable("ada"))
    policy(found)

    with pytest.raises(Conflict):
        oncall_editing.delete_schedule(found.pk, now=now)
    EscalationStep.objects.all().delete()
    oncall_editing.delete_schedule(found.pk, now=now)

    with pytest.raises(Missing):
        oncall_editing.get_schedule(found.pk)


def test_everybody_on_call__many_schedules__reads_a_constant_number_of_queries(
    now: datetime, django_assert_num_queries: object
) -> None:
    for number in range(3):
        schedule(now, pageable(f"p{number}"))

    with django_assert_num_queries(4):  # type: ignore[operator]
        found = oncall.everybody_on_call(now)

    assert [segment.person.name for _, segment in found if segment.person] == ["p0", "p1", "p2"]


def test_fairness__two_people_for_two_weeks__share_the_hours(now: datetime) -> None:
    found = schedule(now, pageable("ada"), pageable("grace"))
    begin = now.replace(hour=9, minute=0)

    shares = oncall.fairness(found, Window(begin, begin + 14 * DAY))

    assert [(share.person.name, share.hours) for share in shares] == [("ada", 168.0), ("grace", 168.0)]
    assert sum(share.night_hours for share in shares) == 14 * 8
    assert sum(share.weekend_hours for share in shares) == 4 * 24
