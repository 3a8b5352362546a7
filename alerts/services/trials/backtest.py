"""What a rule would have done in the past: its own evaluation and the life of its alerts, replayed slot by slot."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from alerts.choices import ACTIVE_STATES, AlertState, NoData
from alerts.judging import Docket, Finding, terms_of
from alerts.kinds import KINDS, floor_slot
from alerts.kinds.base import Fact, Verdict
from alerts.lifecycle import Standing, Step, opened, reported
from alerts.reports import Report
from alerts.services.rule_terms import RuleTerms, check_terms
from alerts.services.trials.past import Past, needs_reads
from core.errors import Invalid
from core.windows import Window

MOST_DAYS = 90
# How far apart the slots of a replay are, at least: a month is no more than so many steps.
RESOLUTIONS = (60, 300, 900, 3600, 21_600, 86_400)
MOST_SLOTS, MOST_READS, MOST_VERDICTS = 9000, 1000, 500_000
SHOWN = 100


class TooLong(Exception):
    """A replay takes longer than it may here; a job does it."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert that would have been: from when it fired, until when (None: it still would), and its worst value."""

    labels: Mapping[str, str]
    fired_at: datetime
    resolved_at: datetime | None
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have done in a period: `fired_count` alerts, firing for `firing_seconds` in total.

    It was replayed every `resolution_seconds`, which may be coarser than the rule is evaluated: what lasted shorter
    may be missing. `episodes` are the latest SHOWN.
    """

    period: Window
    resolution_seconds: int
    slot_count: int
    label_set_count: int
    fired_count: int
    firing_seconds: int
    pending_only_count: int
    unknown_count: int
    episodes: tuple[Episode, ...]


@dataclass(slots=True)
class _Life:
    """One label set on its way through the replay."""

    standing: Standing | None = None
    fired_at: datetime | None = None
    value: Decimal | None = None


@dataclass(slots=True)
class _Replay:
    terms: RuleTerms
    lives: dict[Fact, _Life] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    pending_only: int = 0
    unknown: int = 0


def backtest(
    terms: RuleTerms,
    *,
    now: datetime,
    days: int = 30,
    known_metrics: Collection[str] = (),
    seconds: float | None = None,
    progress: Callable[[int], None] = lambda _percent: None,
) -> Backtest:
    """Replay a rule, saved or not, over the last `days`; nothing is written.

    Raises Invalid when that cannot be done, and TooLong when it takes more than `seconds`.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    docket = _docket(terms, days, known_metrics)
    resolution = _resolution(terms.interval_seconds, days, needs_reads(docket.plan))
    end = floor_slot(now, resolution)
    period = Window(end - timedelta(days=days), end)
    past = Past(docket.plan, period, resolution)
    resolution = _coarser(resolution, days, past.label_sets)
    slots = list(_slots(period, resolution))
    replay = _Replay(terms)
    for number, slot in enumerate(slots):
        if deadline is not None and time.monotonic() > deadline:
            raise TooLong
        (finding,) = docket.judge_on(past.answer(slot))
        _step(replay, finding, slot)
        progress(100 * number // len(slots))
    return _summary(replay, period, resolution, len(slots))


def _docket(terms: RuleTerms, days: int, known_metrics: Collection[str]) -> Docket:
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"A back-test goes back 1 to {MOST_DAYS} days.")
    parameters = check_terms(terms, known_metrics=known_metrics)
    if KINDS[terms.kind].judge is None:
        raise Invalid("A rule over conditions has nothing to replay: it waits for what an app reports.", code="no_past")
    docket = Docket([terms_of(terms.kind, parameters)])
    if not docket.plan.groups:
        raise Invalid("This rule looks at nothing that has a past.", code="no_past")
    return docket


def _resolution(interval: int, days: int, reads: int) -> int:
    """Return the finest distance of slots that is not finer than the rule's own and keeps the work bounded."""
    most = min(MOST_SLOTS, MOST_READS // reads) if reads else MOST_SLOTS
    fitting = (step for step in RESOLUTIONS if step >= interval and days * 86_400 // step <= most)
    return next(fitting, RESOLUTIONS[-1])


def _coarser(resolution: int, days: int, label_sets: int) -> int:
    fitting = (
        step for step in RESOLUTIONS if step >= resolution and days * 86_400 // step * label_sets <= MOST_VERDICTS
    )
    return next(fitting, RESOLUTIONS[-1])


def _slots(period: Window, resolution: int) -> Iterator[datetime]:
    slot = floor_slot(period.start, resolution)
    while slot < period.end:
        slot += timedelta(seconds=resolution)
        yield slot


def _step(replay: _Replay, finding: Finding, slot: datetime) -> None:
    """Take every label set one slot further."""
    if finding.error:
        raise Invalid(f"The rule cannot be evaluated in the past: {finding.error}", code="unreadable")
    verdicts = {verdict.labels: verdict for verdict in finding.verdicts}
    for labels, verdict in verdicts.items():
        replay.unknown += verdict.active is None
        active = _active(replay.terms, verdict.active)
        if active is not None and (active or labels in replay.lives):
            _live(replay, labels, verdict, slot, active=active)
    for labels in [labels for labels in replay.lives if labels not in verdicts]:
        if replay.terms.no_data != NoData.IGNORE:
            missing = Verdict(labels, None)
            _live(replay, labels, missing, slot, active=replay.terms.no_data == NoData.FIRE)


def _active(terms: RuleTerms, active: bool | None) -> bool | None:
    if active is None and terms.no_data != NoData.IGNORE:
        return terms.no_data == NoData.FIRE
    return active


def _live(replay: _Replay, labels: Fact, verdict: Verdict, slot: datetime, *, active: bool) -> None:
    terms = replay.terms
    report = Report(
        labels={}, severity=terms.severity, source="", active=active, starts_at=slot, for_seconds=terms.for_seconds,
        keep_firing_seconds=terms.keep_firing_seconds,
    )  # fmt: skip
    life = replay.lives.setdefault(labels, _Life())
    step = opened(report, slot) if life.standing is None else reported(life.standing, report, slot)
    if step is None or step.state == AlertState.RESOLVED:
        _end(replay, labels, slot)
        return
    _go_on(life, step, verdict, slot)


def _go_on(life: _Life, step: Step, verdict: Verdict, slot: datetime) -> None:
    life.standing = Standing(step.state, step.severity, step.pending_since, step.starts_at, step.ends_at)
    if step.state in ACTIVE_STATES and life.fired_at is None:
        life.fired_at = slot
    if verdict.value is not None and (life.value is None or abs(verdict.value) > abs(life.value)):
        life.value = verdict.value


def _end(replay: _Replay, labels: Fact, slot: datetime) -> None:
    life = replay.lives.pop(labels)
    if life.fired_at is not None:
        replay.episodes.append(Episode(dict(labels), life.fired_at, slot, life.value))
    elif life.standing is not None:
        replay.pending_only += 1


def _summary(replay: _Replay, period: Window, resolution: int, slots: int) -> Backtest:
    still = [
        Episode(dict(labels), life.fired_at, None, life.value)
        for labels, life in replay.lives.items()
        if life.fired_at is not None
    ]
    episodes = sorted([*replay.episodes, *still], key=lambda episode: episode.fired_at)
    firing = sum(((one.resolved_at or period.end) - one.fired_at for one in episodes), timedelta())
    return Backtest(
        period=period,
        resolution_seconds=resolution,
        slot_count=slots,
        label_set_count=len({tuple(sorted(one.labels.items())) for one in episodes}),
        fired_count=len(episodes),
        firing_seconds=int(firing.total_seconds()),
        pending_only_count=replay.pending_only,
        unknown_count=replay.unknown,
        episodes=tuple(reversed(episodes[-SHOWN:])),
    )
