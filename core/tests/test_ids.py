"""Identifiers: of version 7, in order, and never twice."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest

from core.ids import uuid7, uuid7_texts


def test_uuid7__any__has_version_and_variant_of_rfc_9562() -> None:
    value = uuid7()

    assert value.version == 7
    assert value.variant == "specified in RFC 4122"


def test_uuid7__its_first_48_bits__are_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000

    stamp = uuid7().int >> 80

    assert before - 1 <= stamp <= time.time_ns() // 1_000_000 + 5
    assert datetime.fromtimestamp(stamp / 1000, UTC).year >= 2026


def test_uuid7__many_threads__none_twice_and_each_thread_in_order() -> None:
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: [uuid7() for _ in range(2000)], range(8)))

    assert len({value for values in lists for value in values}) == 16_000
    for values in lists:
        assert values == sorted(values)


def test_uuid7__clock_steps_back__still_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)

    assert uuid7() > first


def test_uuid7_texts__many__are_ids_in_rising_order_and_later_than_any_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a moment shortly before a millisecond ends, in a process that has drawn nothing later
    monkeypatch.setattr("core.ids._last", 0)
    monkeypatch.setattr(time, "time_ns", lambda: 1_999_990_000_000_999_000)
    first = uuid7()

    # when more are drawn than fit into the millisecond
    texts = [*uuid7_texts(5000), *uuid7_texts(1)]

    # then they are what uuid7 would have given
    values = [first, *map(UUID, texts)]
    assert values == sorted(values)
    assert {(value.version, value.variant) for value in values} == {(7, "specified in RFC 4122")}
    assert [str(value) for value in values[1:]] == texts
    assert len({value.int & (1 << 62) - 1 for value in values}) == len(values)
