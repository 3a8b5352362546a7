"""What a rule's page shows above its form, and what its tests have found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from alerts.choices import OPEN_STATES, AlertState, RuleKind
from alerts.kinds import KINDS
from alerts.models import Alert, AlertRule, EvaluationClock
from alerts.services.rule_terms import metrics_of, waits_for
from alerts.services.rules import terms_of_rule
from alerts.services.trials import Backtest, TooLong, Trial, backtest, try_rule
from alerts.services.trials.telling import sentence, spoken
from core.errors import Invalid
from core.money import to_text
from core.ports.metrics import metrics
from core.ports.panels import Figure, Table

BACKTEST_SECONDS = 5.0
ALERTS_SHOWN, EPISODES_SHOWN = 10, 20


def rule_page(rule: AlertRule) -> dict[str, Any]:
    """Return what stands above the form: its state, when it was last looked at, and its latest alerts."""
    counts = dict(
        Alert.objects.filter(rule=rule, state__in=OPEN_STATES).order_by().values_list("state").annotate(Count("pk"))
    )
    firing = counts.get(AlertState.FIRING, 0) + counts.get(AlertState.ACKNOWLEDGED, 0)
    clock = EvaluationClock.objects.filter(interval_seconds=rule.interval_seconds).first()
    return {
        "rule": rule,
        "rule_kind": KINDS[rule.kind],
        "rule_waits_for": waits_for(rule.kind, rule.parameters),
        "rule_reported": rule.kind == RuleKind.CONDITION,
        "rule_figures": [
            Figure("Firing", str(firing), tone="bad" if firing else "good"),
            Figure("Pending", str(counts.get(AlertState.PENDING, 0))),
            *([] if rule.kind == RuleKind.CONDITION else [_last_look(clock)]),
        ],
        "rule_alerts": _alerts(rule),
        "rule_metrics": _metrics(rule),
    }


def trial_page(rule: AlertRule, now: datetime) -> dict[str, Any]:
    """Return what the rule finds now."""
    try:
        trial = try_rule(terms_of_rule(rule), now=now, known_metrics=metrics_of(rule.kind, rule.parameters))
    except Invalid as refusal:
        return {"trial_refusal": refusal.detail}
    return {"trial": trial, "trial_table": _trial_table(trial)}


def backtest_page(rule: AlertRule, now: datetime) -> dict[str, Any]:
    """Return what the rule would have done in the last 30 days, or that it takes longer than a page may."""
    known = metrics_of(rule.kind, rule.parameters)
    try:
        found = backtest(terms_of_rule(rule), now=now, known_metrics=known, seconds=BACKTEST_SECONDS)
    except Invalid as refusal:
        return {"backtest_refusal": refusal.detail}
    except TooLong:
        return {"backtest_too_long": True}
    return {"backtest": found, "backtest_sentence": sentence(found), "backtest_table": _episodes(found)}


def _last_look(clock: EvaluationClock | None) -> Figure:
    if clock is None or clock.last_slot is None:
        return Figure("Last evaluated", "not yet", "at the next whole interval")
    at = timezone.localtime(clock.last_slot)
    return Figure("Last evaluated", f"{at:%H:%M:%S}", f"{at:%Y-%m-%d}, every {spoken(clock.interval_seconds)}")


def _alerts(rule: AlertRule) -> Table:
    rows = []
    for alert in Alert.objects.filter(rule=rule).order_by("-id")[:ALERTS_SHOWN]:
        ended = timezone.localtime(alert.resolved_at).strftime("%Y-%m-%d %H:%M") if alert.resolved_at else "–"
        begun = timezone.localtime(alert.starts_at).strftime("%Y-%m-%d %H:%M")
        link = reverse("admin:alerts_alert_change", args=[alert.pk])
        rows.append(((alert.get_state_display(), _said(alert.labels), alert.value or "–", begun, ended), link))
    all_of_them = f"{reverse('admin:alerts_alert_changelist')}?q={rule.name}"
    return Table("Latest alerts", ("State", "Labels", "Value", "Since", "Until"), rows, all_of_them if rows else "")


def _metrics(rule: AlertRule) -> list[dict[str, str]]:
    found = []
    for name in dict.fromkeys(metrics_of(rule.kind, rule.parameters)):
        if name in metrics:
            metric = metrics.get(name)
            found.append(
                {
                    "name": name,
                    "unit": metric.unit,
                    "description": metric.description,
                    "labels": ", ".join(metric.labels) or "none",
                }
            )
    return found


def _trial_table(trial: Trial) -> Table:
    words = {True: "would alert", False: "well", None: "cannot be told"}
    rows = [
        ((_said(one.labels), "–" if one.value is None else to_text(one.value), words[one.active], one.note or "–"), "")
        for one in trial.found
    ]
    return Table("By label set", ("Labels", "Value", "Verdict", "Note"), rows)


def _episodes(found: Backtest) -> Table:
    rows = []
    for episode in found.episodes[:EPISODES_SHOWN]:
        ended = episode.resolved_at
        length = int(((ended or found.period.end) - episode.fired_at).total_seconds())
        until = timezone.localtime(ended).strftime("%Y-%m-%d %H:%M") if ended else "still would"
        begun = timezone.localtime(episode.fired_at).strftime("%Y-%m-%d %H:%M")
        value = "–" if episode.value is None else to_text(episode.value)
        rows.append(((begun, until, spoken(length), _said(episode.labels), value), ""))
    return Table("When it would have fired", ("From", "Until", "For", "Labels", "Worst value"), rows)


def _said(labels: Any) -> str:
    own = {name: text for name, text in labels.items() if name not in {"alertname", "severity"}}
    return ", ".join(f"{name}={text}" for name, text in own.items()) or "–"


_SUBJECTS = ("metric", "ratio", "errors", "bad", "source", "alertname")


def parameters_text(rule: AlertRule) -> str:
    """Return what a rule looks at in one line, for a list."""
    given = rule.parameters
    names = [
        str(given[name]) for name in ("metric", "ratio", "errors", "bad", "source", "alertname") if given.get(name)
    ]
    sign = given.get("comparison") or ("≥" if rule.kind == RuleKind.BUDGET else ">")
    limit = f" {sign} {given['threshold']}" if given.get("threshold") not in (None, "") else ""
    text = (", ".join(names) + limit).strip()
    return text or ", ".join(f"{name} {value}" for name, value in given.items() if value) or KINDS[rule.kind].purpose
