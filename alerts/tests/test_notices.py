"""When a channel is told again: the decision alone."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.notices import Decision, decide


def _decide(
    told: Mapping[str, str], firing: Mapping[str, str], hidden: frozenset[str] = frozenset(), **how: bool
) -> Decision:
    return decide(told, firing, hidden, **{"sends_resolved": True, "repeat_due": False, **how})


def test_decide__never_told_and_only_over__silent() -> None:
    assert _decide({}, {}) == Decision(False, (), {})


def test_decide__new_one__told_with_all_that_fire() -> None:
    assert _decide({"a": "low"}, {"a": "low", "b": "low"}) == Decision(True, (), {"a": "low", "b": "low"})


def test_decide__fewer_fire__told_of_what_is_over_unless_not_wanted() -> None:
    told = {"a": "low", "b": "low"}
    assert _decide(told, {"a": "low"}) == Decision(True, ("b",), {"a": "low"})
    assert _decide(told, {"a": "low"}, sends_resolved=False) == Decision(False, ("b",), {"a": "low"})


def test_decide__severity_rises__told__falls__silent_and_remembered() -> None:
    assert _decide({"a": "low"}, {"a": "high"}).notify
    assert _decide({"a": "high"}, {"a": "low"}) == Decision(False, (), {"a": "low"}, repeated=True)


def test_decide__acknowledged__no_repeat__and_told_when_it_ends() -> None:
    assert not _decide({"a": "low"}, {"a": "ack:low"}, repeat_due=True).notify
    assert _decide({"a": "ack:low"}, {"a": "low"}).notify


def test_decide__told_and_hidden__neither_over_nor_repeated() -> None:
    assert _decide({"a": "low"}, {}, frozenset({"a"}), repeat_due=True) == Decision(False, (), {"a": "low"})


def test_decide__rest_is_over_while_one_is_hidden__hidden_one_is_told_anew_later() -> None:
    # when
    over = _decide({"a": "low", "b": "low"}, {}, frozenset({"a"}))
    # then
    assert over == Decision(True, ("b",), {})
    assert _decide(over.told, {"a": "low"}).notify


def test_decide__repeat_due__told_as_a_repeat() -> None:
    assert _decide({"a": "low"}, {"a": "low"}, repeat_due=True) == Decision(True, (), {"a": "low"}, repeated=True)
