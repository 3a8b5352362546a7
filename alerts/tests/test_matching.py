"""Matchers: Alertmanager's text and meaning, without backtracking."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.matching import OPERATORS, Matcher, as_json, as_text, matches, parse_matchers
from core.errors import Invalid

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x00")
LABELS = {"alertname": "DiskFull", "host": "db-1", "note": 'say "hi", twice'}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('alertname="DiskFull"', True),
        ("alertname=DiskFull", True),
        ('{alertname="DiskFull", host=~"db-.*"}', True),
        ('host=~"b-1"', False),
        ('host=~"db"', False),
        ('host!~"web.*|db-2"', True),
        ('missing=""', True),
        ('missing!=""', False),
        ('missing=~".*"', True),
        ('missing!~".+"', True),
        (r'note="say \"hi\", twice"', True),
        ('"host"="db-1",', True),
        ("", True),
    ],
)
def test_matchers__text_of_alertmanager__same_meaning(text: str, expected: bool) -> None:
    assert matches(parse_matchers(text), LABELS) is expected


@pytest.mark.parametrize(
    "text", ["alertname", "=x", 'a="x', 'a=x"y', 'a=~"("', 'a=~"(?=x)"', r'a=~"(x)\1"', 'a=~"' + "x" * 1001 + '"']
)
def test_matchers__no_matcher__refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_matchers(text)


def test_matchers__json_with_a_mistake__pointer_to_it() -> None:
    with pytest.raises(Invalid) as refused:
        parse_matchers([{"name": "a", "op": "=", "value": "b"}, {"name": "a", "op": "~", "value": "b"}], pointer="/m")
    assert [error.pointer for error in refused.value.errors] == ["/m/1/op"]


def test_expression__written_to_backtrack__linear() -> None:
    # given
    evil = parse_matchers('a=~"(x+x+)+y"')
    # when
    begun = time.perf_counter()
    found = matches(evil, {"a": "x" * 5000})
    # then
    assert not found
    assert time.perf_counter() - begun < 1


@given(
    st.lists(
        st.builds(
            Matcher,
            name=st.text(CHARACTERS, min_size=1, max_size=20),
            op=st.sampled_from(OPERATORS[:2]),
            value=st.text(CHARACTERS, max_size=30),
        ),
        max_size=5,
    )
)
def test_matchers__written_and_read__the_same(matchers: list[Matcher]) -> None:
    assert list(parse_matchers(as_text(matchers))) == matchers
    assert list(parse_matchers(as_json(matchers))) == matchers
