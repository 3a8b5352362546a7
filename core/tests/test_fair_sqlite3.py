"""Writers on SQLite take turns: none starves while others write in a loop."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from core.models import SetupLink

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="what SQLite alone needs"),
]


def run_at_once(*works: Any) -> None:
    def closing(work: Any) -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [threading.Thread(target=closing, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_transactions__of_writers_in_a_loop__are_shared_out() -> None:
    counts = [0, 0, 0]
    deadline = time.monotonic() + 2

    def write(number: int) -> None:
        while time.monotonic() < deadline:
            with transaction.atomic():
                SetupLink.objects.filter(digest="nobody").update(digest="nobody")
            counts[number] += 1

    run_at_once(*(lambda number=number: write(number) for number in range(3)))

    # Under SQLite's own pauses the least got a hundredth of the most.
    assert min(counts) * 5 > max(counts)


def test_transaction__begun_while_another_is_open__waits_for_it() -> None:
    order: list[str] = []
    begun = threading.Event()

    def first() -> None:
        with transaction.atomic():
            begun.set()
            time.sleep(0.3)
            order.append("first")

    def second() -> None:
        begun.wait()
        with transaction.atomic():
            order.append("second")

    run_at_once(first, second)

    assert order == ["first", "second"]


def test_transaction__that_cannot_begin_in_time__fails_as_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.2)
    begun, failed = threading.Event(), threading.Event()
    errors: list[str] = []

    def holder() -> None:
        with transaction.atomic():
            begun.set()
            failed.wait(10)

    def waiter() -> None:
        begun.wait()
        try:
            with transaction.atomic():
                pass
        except OperationalError as error:
            errors.append(str(error))
        failed.set()

    run_at_once(holder, waiter)

    assert errors == ["database is locked"]
