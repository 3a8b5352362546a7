"""Brings rules and the metrics they ask together: what each rule finds as of one instant. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog

from alerts.kinds import KINDS
from alerts.kinds.base import Ask, Fact, Kind, Verdict, fact
from alerts.reading import Answers, Unanswered, Waiting, answer_all

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a rule decides its verdicts: its kind and checked parameters."""

    kind: Kind
    parameters: Any

    @property
    def base(self) -> Fact:
        """The labels that a verdict about missing data has."""
        return fact(getattr(self.parameters, "labels", {}))

    def stored(self) -> dict[str, Any]:
        """Return the parameters as a rule keeps them: complete, numbers as text."""
        plain: dict[str, Any] = msgspec.to_builtins(self.parameters)
        return plain


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found: a verdict per label set, or why it could not look."""

    verdicts: tuple[Verdict, ...] = ()
    error: str = ""
    waiting: bool = False


def terms_of(kind: str, parameters: Mapping[str, object]) -> Terms:
    """Return the terms of a rule as it is stored; raises msgspec.ValidationError for parameters of another version."""
    known = KINDS[kind]
    return Terms(known, msgspec.convert(parameters, known.parameters))


def judge_all(
    wanted: Sequence[tuple[Terms, datetime]], *, after_each: Callable[[], None] = lambda: None
) -> list[Finding]:
    """Return what each of the rules finds as of its instant, in order; reads are shared between all of them."""
    asks: list[Ask] = []
    for terms, slot in wanted:
        asks.extend(terms.kind.asks(terms.parameters, slot))
    answers = answer_all(asks, after_each=after_each)
    return [_judge(terms, slot, answers) for terms, slot in wanted]


def judge_with(terms: Terms, slot: datetime, answers: Answers) -> Finding:
    """Return what one rule finds in answers that are there already."""
    return _judge(terms, slot, answers)


def _judge(terms: Terms, slot: datetime, answers: Answers) -> Finding:
    judge = terms.kind.judge
    if judge is None:
        return Finding()
    try:
        return Finding(tuple(judge(terms.parameters, slot, answers.read)))
    except Waiting as error:
        return Finding(error=str(error), waiting=True)
    except Unanswered as error:
        return Finding(error=str(error))
    except Exception as error:  # one rule that cannot be judged does not stop the others
        log.exception("rule_failed", kind=terms.kind.name)
        return Finding(error=f"{type(error).__name__}: {error}")
