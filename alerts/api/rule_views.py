"""Rules: made, listed, changed, tested and replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta
from rest_framework.request import Request

from alerts.api.rule_shapes import (
    EXAMPLE,
    BacktestRequest,
    BacktestResult,
    BacktestStarted,
    NewRule,
    RulePatch,
    RuleQuery,
    RuleState,
    TrialRequest,
    TrialResult,
    shown,
    shown_trial,
)
from alerts.models import AlertRule
from alerts.services import rules
from alerts.services.rule_terms import RuleTerms, metrics_of
from alerts.services.trials import TooLong, backtest, try_rule
from alerts.services.trials.telling import as_json
from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Invalid, Missing
from core.jobs import start_job

READ, ADMIN, TAG = "alerts:read", "alerts:admin", "alert rules"
# A replay that takes longer is a job's work.
BACKTEST_SECONDS = 5.0


class RuleView(ApiView):
    """Rules are for the whole organisation: a key that is bound to an entity has no business with them."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        caller(request).require_unbound()


class RuleList(RuleView):
    """All rules: make one, list them."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_alert_rules", "List rules", query=RuleQuery, answers={200: CursorPage[RuleState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Rules with what they watch and whether they can look, the newest first."""
        wanted = query(request, RuleQuery)
        exact = {name: getattr(wanted, name) for name in ("kind", "severity", "enabled", "slug")}
        rows = AlertRule.objects.select_related("runbook").filter(
            **{name: value for name, value in exact.items() if value is not None}
        )
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shown))

    @operation(
        "create_alert_rule",
        "Create a rule",
        body=Annotated[NewRule, Meta(examples=[EXAMPLE])],
        answers={201: RuleState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a rule; it is evaluated from the next whole multiple of its interval on."""
        wanted = decode(request, NewRule)
        return idempotent(request, lambda now: _created(request, wanted.terms(), now))


class RuleDetail(RuleView):
    """One rule."""

    required_scopes = {"GET": READ, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_alert_rule", "One rule", answers={200: RuleState}, tag=TAG)
    def get(self, request: Request, rule_id: UUID) -> HttpResponse:
        """A rule as it is now."""
        return answer(shown(_found(rule_id)))

    @operation("change_alert_rule", "Change a rule", body=RulePatch, answers={200: RuleState}, problems=(409,), tag=TAG)
    def patch(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Change what is named. Its alerts go on, unless they would have other labels from now on."""
        wanted = decode(request, RulePatch)
        revision = None if wanted.revision is UNSET else wanted.revision
        change = rules.RuleChange(values=wanted.values())
        rules.change_rule(rule_id, change, now=timezone.now(), revision=revision, reason=wanted.reason)
        return answer(shown(_found(rule_id)))

    @operation("delete_alert_rule", "Delete a rule", answers={204: None}, tag=TAG)
    def delete(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Delete a rule; what it found is resolved. A default rule does not come back."""
        rules.delete_rule(rule_id, now=timezone.now())
        return HttpResponse(status=204)


class RuleTest(RuleView):
    """What a rule finds now."""

    required_scopes = {"POST": READ}

    @operation("test_alert_rule", "Test a rule now", body=TrialRequest, answers={200: TrialResult}, tag=TAG)
    def post(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Evaluate it once, with other parameters if wanted. No alert is opened and nobody is told."""
        wanted, rule = decode(request, TrialRequest), _found(rule_id)
        terms = _with(rule, parameters=wanted.parameters)
        return answer(shown_trial(try_rule(terms, now=timezone.now(), known_metrics=_known(rule))))


class RuleBacktest(RuleView):
    """What a rule would have done."""

    required_scopes = {"POST": READ}

    @operation(
        "backtest_alert_rule",
        "Replay a rule",
        body=BacktestRequest,
        answers={200: BacktestResult, 202: BacktestStarted},
        tag=TAG,
    )
    def post(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Replay it over its past: how often it would have fired, when, and for how long.

        Answers 202 with a job when that takes longer than five seconds and the parameters are the rule's own; other
        parameters that take longer are refused, so try fewer days.
        """
        wanted, rule, now = decode(request, BacktestRequest), _found(rule_id), timezone.now()
        terms = _with(rule, parameters=wanted.parameters, for_seconds=wanted.for_seconds)
        try:
            found = backtest(terms, now=now, days=wanted.days, known_metrics=_known(rule), seconds=BACKTEST_SECONDS)
        except TooLong:
            job = _job(rule, terms, wanted.days, now)
            return answer(BacktestStarted(job_id=job), 202)
        return answer(as_json(found))


def _created(request: Request, terms: RuleTerms, now: datetime) -> HttpResponse:
    rule = rules.create_rule(terms, now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{rule.id}")
    return answer(shown(rule), 201, {"Location": location})


def _found(rule_id: UUID) -> AlertRule:
    rule = AlertRule.objects.select_related("runbook").filter(pk=rule_id).first()
    if rule is None:
        raise Missing("there is no such rule")
    return rule


def _with(rule: AlertRule, **values: object) -> RuleTerms:
    given = {name: value for name, value in values.items() if value is not UNSET}
    return replace(rules.terms_of_rule(rule), **given)  # type: ignore[arg-type]  # names are those of RuleTerms


def _known(rule: AlertRule) -> list[str]:
    return metrics_of(rule.kind, rule.parameters)


def _job(rule: AlertRule, terms: RuleTerms, days: int, now: datetime) -> UUID:
    if terms != rules.terms_of_rule(rule):
        raise Invalid("This takes longer than a request may; save the rule, or try fewer days.", code="too_long")
    job = start_job(
        "alerts.backtest", now=now, arguments={"rule": str(rule.pk), "days": days}, title=f"Back-test of {rule}"
    )
    return job.pk
