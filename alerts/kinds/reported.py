"""Condition rules: how what the platform's apps report themselves becomes alerts. Not evaluated by the clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from alerts.kinds.base import Kind, LabelName
from core.errors import FieldError

SeverityName = Literal["critical", "high", "medium", "low", "info"]
Pattern = Annotated[str, Meta(min_length=1, max_length=200)]


class ConditionParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Conditions of `source` whose key matches `key` (both may hold * and ?) and that carry `labels`.

    `severities` maps the condition's severity to another. The rule's `for_seconds`, `labels`, `annotations` and
    runbook go with the alert. Of several rules that fit, the most exact one counts.
    """

    source: Pattern
    key: Pattern = "*"
    labels: dict[LabelName, str] = {}
    severities: dict[SeverityName, SeverityName] = {}

    def fits(self, source: str, key: str, labels: Mapping[str, str]) -> bool:
        """Say whether a condition is one of this rule's."""
        return (
            _pattern(self.source).match(source) is not None
            and _pattern(self.key).match(key) is not None
            and all(labels.get(name) == text for name, text in self.labels.items())
        )

    def exactness(self) -> tuple[int, int, int]:
        """Return how exact the rule is; the greatest counts."""
        return len(self.labels), int(self.key != "*"), len(self.source.partition("*")[0])


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text))


def mistakes(parameters: ConditionParameters) -> Iterator[FieldError]:
    """Refuse a rule for everything: what no rule is for becomes an alert anyway."""
    if not parameters.source.strip("*?"):
        yield FieldError("/source", "invalid", "Name a source, such as costs.budget or backups.*.")


CONDITION = Kind(
    name="condition",
    purpose="Something that an app of the platform reports by itself.",
    parameters=ConditionParameters,
    mistakes=mistakes,
    example={"source": "costs.budget", "labels": {"threshold": "1"}},
)
