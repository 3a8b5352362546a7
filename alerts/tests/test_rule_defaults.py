"""The rules that are there from the first start, and what becomes of them in an operator's hands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from alerts.models import AlertRule, RuleDefault
from alerts.services import rule_defaults
from alerts.services.rule_terms import RuleTerms, waits_for
from alerts.services.rules import RuleChange, change_rule, create_rule, delete_rule

pytestmark = pytest.mark.django_db


def _default(slug: str) -> AlertRule:
    return AlertRule.objects.get(slug=slug)


def _with_changed(monkeypatch: pytest.MonkeyPatch, slug: str, **values: object) -> None:
    """Have the next version come with other values of one default."""
    changed = tuple(
        replace(item, **values) if item.slug == slug else item  # type: ignore[arg-type]  # the test names fields
        for item in rule_defaults.DEFAULTS
    )
    monkeypatch.setattr(rule_defaults, "DEFAULTS", changed)


def test_defaults__after_migrating__are_all_there_and_enabled() -> None:
    slugs = set(AlertRule.objects.filter(is_default=True, enabled=True).values_list("slug", flat=True))

    assert slugs == {
        "watchdog", "error-rate", "latency-p95", "availability", "budget-threshold", "budget-exceeded",
        "budget-overrun", "backup", "health-check", "slo-burn", "audit-gap",
    }  # fmt: skip


def test_defaults__kept_again__changes_nothing(now: datetime) -> None:
    before = list(AlertRule.objects.order_by("pk").values())

    assert rule_defaults.keep_defaults(now=now) == 0

    assert list(AlertRule.objects.order_by("pk").values()) == before


def test_defaults__operator_changed_one_value__the_next_version_changes_the_others(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_rule(_default("health-check").pk, RuleChange(values={"for_seconds": 900}), now=now)
    _with_changed(monkeypatch, "health-check", for_seconds=60, severity="critical")

    assert rule_defaults.keep_defaults(now=now) == 1

    kept = _default("health-check")
    assert (kept.for_seconds, kept.severity) == (900, "critical")


def test_defaults__operator_deleted_one__it_stays_away(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    delete_rule(_default("watchdog").pk, now=now)
    _with_changed(monkeypatch, "watchdog", severity="low")

    rule_defaults.keep_defaults(now=now)

    assert not AlertRule.objects.filter(slug="watchdog").exists()


def test_defaults__slug_is_an_operators_own_rule__is_left_alone(now: datetime) -> None:
    AlertRule.objects.filter(slug="watchdog").delete()
    RuleDefault.objects.filter(slug="watchdog").delete()
    create_rule(RuleTerms(name="Mine", slug="watchdog", kind="watchdog"), now=now)

    rule_defaults.keep_defaults(now=now)

    assert (_default("watchdog").name, _default("watchdog").is_default) == ("Mine", False)


def test_defaults__metric_is_not_offered_yet__the_rule_can_be_changed_and_still_waits(now: datetime) -> None:
    waiting = _default("latency-p95")
    AlertRule.objects.filter(pk=waiting.pk).update(parameters={**waiting.parameters, "metric": "slas.not_yet"})
    waiting.refresh_from_db()

    changed = change_rule(
        waiting.pk, RuleChange(values={"parameters": {**waiting.parameters, "threshold": "3"}}), now=now
    )

    assert changed.parameters["threshold"] == "3"
    assert waits_for(changed.kind, changed.parameters) == ["slas.not_yet"]
