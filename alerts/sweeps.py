"""The passes that keep alerting going, in the order in which an alert travels through them, and how each last went.

A pass is a plain function `(now) -> items done`. It may run twice, at once and be killed anywhere: the rows it works on
are leased. Celery is only its clock; `manage.py sweep` runs the same passes without it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import F
from django.utils.module_loading import import_string

from alerts.models import SweepState

# A pass that finds nothing to do says so at most this often: the sign of life costs a write.
IDLE_SIGN = timedelta(seconds=10)
EARLY_SECONDS = 0.5
_begun: dict[str, float] = {}
_lock = threading.Lock()
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass: how often it runs, and the dotted name of the function, which is loaded when it first runs."""

    name: str
    every: timedelta
    run: str
    description: str

    def function(self) -> Callable[[datetime], int]:
        """Return the function of the pass."""
        function: Callable[[datetime], int] = import_string(self.run)
        return function


def _pass(name: str, seconds: int, run: str, description: str) -> Sweep:
    return Sweep(name, timedelta(seconds=seconds), f"alerts.services.{run}.run", description)


SWEEPS: dict[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        _pass("evaluate_rules", 10, "evaluation", "Evaluates the alert rules that are due."),
        _pass("read_conditions", 5, "conditions", "Turns conditions that the apps report into alerts."),
        _pass("expire", 15, "expiry", "Ends alerts, acknowledgements and silences whose time is over."),
        _pass("detect_threats", 15, "detection", "Looks for threats in what happened around sign-ins and keys."),
        _pass("route", 5, "routing", "Assigns alerts that changed to the groups they are told of in."),
        _pass("flush_groups", 5, "flushing", "Writes the messages of groups that are due."),
        _pass("escalate", 5, "escalation", "Takes the escalation steps that are due."),
        _pass("automate", 10, "automation", "Runs the automated answers to alerts."),
        _pass("deliver", 2, "delivery", "Sends the messages that are due."),
        _pass("watch", 60, "watching", "Reports passes that have stopped, and calls the outside watch."),
        _pass("prune", 24 * 3600, "retention", "Removes old alerts, messages and events."),
    )
}

# What the others find is work for later passes; these always find something, or nothing more after one look.
WORKING = frozenset(SWEEPS) - {"watch", "evaluate_rules"}


def run(name: str, now: datetime) -> int:
    """Run one pass and keep how it went; returns the number of items done.

    What the pass raises is kept in its SweepState and raised again. Raises KeyError for an unknown name.
    """
    sweep = SWEEPS[name]
    begun = time.monotonic()
    try:
        items = sweep.function()(now)
    except Exception as error:
        _keep_failure(sweep, f"{type(error).__name__}: {error}", now=now, seconds=time.monotonic() - begun)
        raise
    _keep_success(sweep, items, now=now, seconds=time.monotonic() - begun)
    return items


def run_due(now: datetime) -> int:
    """Run every pass whose interval is over since this process last began it; returns the number of items done.

    For the embedded mode, where every message is a file: one for all passes halves the messages and was measured to
    take a third off what an idle platform costs. A pass that raises does not keep the others from their work.
    """
    done = 0
    for sweep in SWEEPS.values():
        if not _begin(sweep):
            continue
        # `run` has kept and logged why.
        with contextlib.suppress(Exception):
            done += run(sweep.name, now)
    return done


def _begin(sweep: Sweep) -> bool:
    """Say whether a pass is due in this process, and note that it has begun: threads do not begin it twice."""
    with _lock:
        now = time.monotonic()
        # A little early rather than a whole tick late: ticks are never quite as far apart as they should be.
        if now - _begun.get(sweep.name, float("-inf")) < sweep.every.total_seconds() - EARLY_SECONDS:
            return False
        _begun[sweep.name] = now
        return True


def _keep_success(sweep: Sweep, items: int, *, now: datetime, seconds: float) -> None:
    state = SweepState.objects.filter(name=sweep.name).first()
    finished = now + timedelta(seconds=seconds)
    if not items and state is not None and _said_lately(state, now):
        return
    done = {"started_at": now, "finished_at": finished, "seconds": seconds, "items": items, "failures": 0, "error": ""}
    _keep(sweep, done, now)


def _said_lately(state: SweepState, now: datetime) -> bool:
    # An instant in the future is that of a clock that was set back: write over it.
    last = state.started_at
    return last is not None and not state.error and timedelta() <= now - last < IDLE_SIGN


def _keep_failure(sweep: Sweep, error: str, *, now: datetime, seconds: float) -> None:
    log.error("sweep_failed", sweep=sweep.name, reason=error)
    failed = {"started_at": now, "seconds": seconds, "failures": F("failures") + 1, "error": error[:500]}
    _keep(sweep, failed, now, first={**failed, "failures": 1})


def _keep(sweep: Sweep, values: Mapping[str, Any], now: datetime, *, first: Mapping[str, Any] | None = None) -> None:
    every = int(sweep.every.total_seconds())
    SweepState.objects.update_or_create(
        name=sweep.name,
        defaults={**values, "every_seconds": every},
        create_defaults={**(first or values), "every_seconds": every, "created_at": now},
    )
