"""Logs: one form for all, without secrets."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog

from core.context import Actor, Context, acting
from core.logs import REDACTED, formatter

KEY = "af_abcdefgh_" + "S" * 43


def _written(capture: pytest.LogCaptureFixture, style: str = "json") -> list[str]:
    return [formatter(style).format(record) for record in capture.records]


def test_line__of_ours_and_of_a_library__have_the_same_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with acting(Context(Actor("user", "7", "maria"), "admin", "req-12345678")):
        structlog.get_logger("ours").info("done", items=3)
        logging.getLogger("theirs").info("done %s", "too")
        ours, theirs = (json.loads(line) for line in _written(caplog))

    common = {"level": "info", "request_id": "req-12345678", "actor": "maria", "channel": "admin"}
    assert common.items() <= ours.items()
    assert common.items() <= theirs.items()
    assert (ours["event"], ours["logger"], ours["items"]) == ("done", "ours", 3)
    assert (theirs["event"], theirs["logger"]) == ("done too", "theirs")
    assert {"timestamp"} <= set(ours) & set(theirs)


@pytest.mark.parametrize("style", ["json", "console"])
def test_line__secrets_wherever_they_are__are_taken_out(caplog: pytest.LogCaptureFixture, style: str) -> None:
    log = structlog.get_logger("ours")
    log.warning("x", authorization="hush-1", headers={"Cookie": "hush-2", "nested": [{"password": "hush-3"}]})
    logging.getLogger("theirs").warning("sent %s to %s", KEY, "redis://user:hush-4@cache:6379/0")
    logging.getLogger("theirs").warning("Authorization: Bearer hush-5-hush-5")
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        log.exception("failed")

    text = "\n".join(_written(caplog, style))
    assert "hush" not in text
    assert "S" * 43 not in text
    assert f"af_abcdefgh_{REDACTED}" in text


def test_line__exception__is_in_the_json_as_text(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("theirs").exception("it failed")
        structlog.get_logger("ours").exception("it failed")

    lines = [json.loads(line) for line in _written(caplog)]
    assert [line["exception"].splitlines()[-1] for line in lines] == ["ValueError: broken"] * 2


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", sys, float("nan"), "é\n\x1b[31m", {(1, 2): 3}, "\ud800"])
def test_line__any_value__is_one_line_of_json(caplog: pytest.LogCaptureFixture, value: Any) -> None:
    structlog.get_logger("ours").warning("odd", value=value)

    (line,) = _written(caplog)
    assert "\n" not in line
    assert json.loads(line)["event"] == "odd"
