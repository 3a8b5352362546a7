"""Brings rules and the metrics they ask together: what each rule finds as of one instant. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from alerts.kinds import KINDS
from alerts.kinds.base import Kind, Verdict
from alerts.reading import Plan, Result, Unanswered, Waiting

log = structlog.get_logger(__name__)


class Terms(NamedTuple):
    """What of a rule decides its verdicts: its kind and checked parameters."""

    kind: Kind
    parameters: Any

    def stored(self) -> dict[str, Any]:
        """Return the parameters as a rule keeps them: complete, numbers as text."""
        plain: dict[str, Any] = msgspec.to_builtins(self.parameters)
        return plain


class Finding(NamedTuple):
    """What one rule found: a verdict per label set, or why it could not look."""

    verdicts: tuple[Verdict, ...] = ()
    error: str = ""
    waiting: bool = False


NO_VERDICT = Finding()


def terms_of(kind: str, parameters: Mapping[str, object]) -> Terms:
    """Return the terms of a rule as it is stored; raises msgspec.ValidationError for parameters of another version."""
    known = KINDS[kind]
    return Terms(known, msgspec.convert(parameters, known.parameters))


class Docket:
    """Rules that are judged together, with their questions sorted into as few reads as they need."""

    def __init__(self, terms: Sequence[Terms | Finding]) -> None:
        """Take the rules in order; one that cannot be judged stands there with its finding."""
        self.terms = terms
        asked = [item.kind.asks(item.parameters) if isinstance(item, Terms) else () for item in terms]
        self.plan = Plan(ask for asks in asked for ask in asks)
        self._numbers = [[self.plan.number(ask) for ask in asks] for asks in asked]

    def judge(self, slot: datetime, *, after_each: Callable[[], None] = lambda: None) -> list[Finding]:
        """Return what each rule finds as of a slot, in order."""
        return self.judge_on(self.plan.answer(slot, after_each=after_each))

    def judge_on(self, results: Sequence[Result]) -> list[Finding]:
        """Return what each rule finds in answers that are in the order of the plan's questions."""
        found = []
        for item, numbers in zip(self.terms, self._numbers, strict=True):
            if isinstance(item, Finding):
                found.append(item)
                continue
            answers = [results[number] for number in numbers]
            # Most rules of most passes: nothing was reported, and nothing follows.
            found.append(_judge(item, answers) if any(answers) or not item.kind.needs_data else NO_VERDICT)
        return found


def _judge(terms: Terms, answers: Sequence[Result]) -> Finding:
    if terms.kind.judge is None:
        return NO_VERDICT
    for answer in answers:
        if isinstance(answer, Unanswered):
            return Finding(error=str(answer), waiting=isinstance(answer, Waiting))
    try:
        return Finding(tuple(terms.kind.judge(terms.parameters, answers)))  # type: ignore[arg-type]  # none failed
    except Exception as error:  # one rule that cannot be judged does not stop the others
        log.exception("rule_failed", kind=terms.kind.name)
        return Finding(error=f"{type(error).__name__}: {error}")
