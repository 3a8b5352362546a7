"""Conditions: state changes once, whoever and how many raise it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from core.models import ConditionRecord
from core.ports.conditions import Condition, clear_condition, raise_condition

FULL = Condition("disk.space", "db-1", "high", "The disk is full", {"host": "db-1"}, "/disks/1")


@pytest.mark.django_db
def test_raise__not_firing_before__fires_and_says_so(now: datetime) -> None:
    assert raise_condition(FULL, now=now) is True

    record = ConditionRecord.objects.get()
    assert (record.firing, record.severity, record.revision) == (True, "high", 1)
    assert (record.raised_at, record.changed_at, record.labels) == (now, now, {"host": "db-1"})


@pytest.mark.django_db
def test_raise__firing_already__changes_details_only(now: datetime) -> None:
    raise_condition(FULL, now=now)
    later = now + timedelta(hours=1)

    changed = raise_condition(Condition("disk.space", "db-1", "critical", "Fuller still"), now=later)

    record = ConditionRecord.objects.get()
    assert changed is False
    assert (record.severity, record.summary, record.seen_at) == ("critical", "Fuller still", later)
    assert (record.revision, record.changed_at) == (1, now)


@pytest.mark.django_db
def test_clear__firing__stops_and_a_later_raise_counts_up(now: datetime) -> None:
    raise_condition(FULL, now=now)

    assert clear_condition(FULL, now=now + timedelta(hours=1)) is True
    assert clear_condition(FULL, now=now + timedelta(hours=2)) is False
    assert raise_condition(FULL, now=now + timedelta(hours=3)) is True

    record = ConditionRecord.objects.get()
    assert (record.firing, record.revision, record.raised_at) == (True, 3, now + timedelta(hours=3))


@pytest.mark.django_db
def test_clear__never_raised__writes_nothing(now: datetime) -> None:
    assert clear_condition(FULL, now=now) is False
    assert not ConditionRecord.objects.exists()


@pytest.mark.django_db
def test_raise__rolled_back__is_not_announced(now: datetime) -> None:
    def work() -> None:
        with transaction.atomic():
            raise_condition(FULL, now=now)
            raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError):
        work()
    assert not ConditionRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("existing", [False, True])
def test_raise__by_many_at_once__changes_the_state_exactly_once(now: datetime, existing: bool) -> None:
    if existing:
        raise_condition(FULL, now=now)
        clear_condition(FULL, now=now)
    answers: list[bool] = []
    together = threading.Barrier(6)

    def work() -> None:
        try:
            together.wait()
            answers.append(raise_condition(FULL, now=now))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 5 + [True]
    assert ConditionRecord.objects.get().revision == (3 if existing else 1)
