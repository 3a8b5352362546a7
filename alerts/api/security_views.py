"""Security events, detection rules, automation rules and their runs over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Model
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta
from rest_framework.request import Request

from alerts.api import security_shapes as shapes
from alerts.models import AutomationRule, AutomationRun, DetectionRule, SecurityEvent
from alerts.services import automation, guard_rules
from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Missing, Refusal

_Row = TypeVar("_Row", bound=Model)
TAG = "security"
TRIED = 20
DETECTION = {
    "slug": "many-exports",
    "name": "Many exports",
    "kind": "event_count",
    "parameters": {
        "steps": [{"kinds": ["data.exported"]}], "group_by": ["actor"], "window_seconds": 600, "threshold": 5,
    },
}  # fmt: skip
AUTOMATION = {
    "name": "Suspend a key that spends too much",
    "matchers": [{"name": "alertname", "op": "=", "value": "key-spend-jump"}],
    "action": "core.suspend_key",
    "arguments": {"key": "{{ labels.api_key }}"},
}


class SecurityEventList(ApiView):
    """What happened around sign-ins, keys, grants and exports."""

    required_scopes = {"GET": "security:read"}

    @operation(
        "list_security_events",
        "List security events",
        query=shapes.SecurityEventQuery,
        answers={200: CursorPage[shapes.SecurityEventState]},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        """Events, the newest first."""
        caller(request).require_unbound()
        wanted = query(request, shapes.SecurityEventQuery)
        names = ("kind", "outcome", "actor_id", "api_key", "address")
        given = {name: getattr(wanted, name) for name in names if getattr(wanted, name) is not None}
        zone = settings.ORGANISATION_ZONE
        rows = SecurityEvent.objects.filter(**given)
        rows = rows.filter(at__gte=wanted.since.instant(zone)) if wanted.since else rows
        rows = rows.filter(at__lt=wanted.until.instant(zone)) if wanted.until else rows
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shapes.shown_event))


class SecurityEventDetail(ApiView):
    """One security event."""

    required_scopes = {"GET": "security:read"}

    @operation("get_security_event", "Get a security event", answers={200: shapes.SecurityEventState}, tag=TAG)
    def get(self, request: Request, number: int) -> HttpResponse:
        """One event."""
        caller(request).require_unbound()
        return answer(shapes.shown_event(_found(SecurityEvent, "there is no such event", pk=number)))


class DetectionRuleList(ApiView):
    """What counts as a threat."""

    required_scopes = {"GET": "security:read", "POST": "alerts:admin"}

    @operation(
        "list_detection_rules",
        "List detection rules",
        query=PageQuery,
        answers={200: CursorPage[shapes.DetectionRuleState]},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        """All detection rules, the newest first."""
        wanted, rows = query(request, PageQuery), DetectionRule.objects.all()
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shapes.shown_detection))

    @operation(
        "create_detection_rule",
        "Create a detection rule",
        body=Annotated[shapes.NewDetectionRule, Meta(examples=[DETECTION])],
        answers={201: shapes.DetectionRuleState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a rule; it looks at what happens from an hour ago on."""
        wanted = decode(request, shapes.NewDetectionRule)
        return idempotent(request, lambda now: _made_detection(request, wanted, now))


class DetectionRuleDetail(ApiView):
    """One detection rule."""

    required_scopes = {"GET": "security:read", "PATCH": "alerts:admin", "DELETE": "alerts:admin"}

    @operation("get_detection_rule", "Get a detection rule", answers={200: shapes.DetectionRuleState}, tag=TAG)
    def get(self, request: Request, slug: str) -> HttpResponse:
        """One rule, when it was last looked at, and what went wrong."""
        return answer(shapes.shown_detection(_detection(slug)))

    @operation(
        "change_detection_rule",
        "Change a detection rule",
        body=shapes.DetectionRulePatch,
        answers={200: shapes.DetectionRuleState},
        problems=(409,),
        tag=TAG,
    )
    def patch(self, request: Request, slug: str) -> HttpResponse:
        """Change a rule, or switch it on or off."""
        rule, values = _detection(slug), _given(decode(request, shapes.DetectionRulePatch))
        return answer(shapes.shown_detection(guard_rules.save_detection(rule, values, now=timezone.now())))

    @operation("delete_detection_rule", "Delete a detection rule", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Delete a rule of one's own; a built-in one is switched off instead (409)."""
        guard_rules.delete_rule(_detection(slug), now=timezone.now())
        return HttpResponse(status=204)


class AutomationRuleList(ApiView):
    """What the platform does by itself when an alert fires."""

    required_scopes = {"GET": "security:read", "POST": "alerts:admin"}

    @operation(
        "list_automation_rules",
        "List automation rules",
        query=PageQuery,
        answers={200: CursorPage[shapes.AutomationRuleState]},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        """All automation rules, the newest first."""
        wanted, rows = query(request, PageQuery), AutomationRule.objects.all()
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shapes.shown_automation))

    @operation(
        "create_automation_rule",
        "Create an automation rule",
        body=Annotated[shapes.NewAutomationRule, Meta(examples=[AUTOMATION])],
        answers={201: shapes.AutomationRuleState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a rule, as a dry run unless said otherwise. Who makes it may do by hand what it does (403 otherwise)."""
        wanted = decode(request, shapes.NewAutomationRule)
        return idempotent(request, lambda now: _made_automation(request, wanted, now))


class AutomationRuleDetail(ApiView):
    """One automation rule."""

    required_scopes = {"GET": "security:read", "PATCH": "alerts:admin", "DELETE": "alerts:admin"}

    @operation("get_automation_rule", "Get an automation rule", answers={200: shapes.AutomationRuleState}, tag=TAG)
    def get(self, request: Request, rule_id: UUID) -> HttpResponse:
        """One rule."""
        return answer(shapes.shown_automation(_automation(rule_id)))

    @operation(
        "change_automation_rule",
        "Change an automation rule",
        body=shapes.AutomationRulePatch,
        answers={200: shapes.AutomationRuleState},
        problems=(409,),
        tag=TAG,
    )
    def patch(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Change a rule, switch it on or off, or let it act."""
        rule, values = _automation(rule_id), _given(decode(request, shapes.AutomationRulePatch))
        return answer(shapes.shown_automation(guard_rules.save_automation(rule, values, now=timezone.now())))

    @operation("delete_automation_rule", "Delete an automation rule", answers={204: None}, tag=TAG)
    def delete(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Delete a rule with its runs; the audit log keeps what it did."""
        guard_rules.delete_rule(_automation(rule_id), now=timezone.now())
        return HttpResponse(status=204)


class AutomationRuleTest(ApiView):
    """What a rule would do now."""

    required_scopes = {"POST": "security:read"}

    @operation("test_automation_rule", "Try an automation rule", answers={200: shapes.AutomationTrials}, tag=TAG)
    def post(self, request: Request, rule_id: UUID) -> HttpResponse:
        """Say what the rule would do about the alerts that fire now, and do nothing."""
        rule, now = _automation(rule_id), timezone.now()
        alerts = automation.met_by(rule)
        trials = [_trial(rule, alert, now) for alert in alerts[:TRIED]]
        return answer(shapes.AutomationTrials(matching=len(alerts), trials=trials))


class AutomationRunList(ApiView):
    """What was done by itself."""

    required_scopes = {"GET": "security:read"}

    @operation(
        "list_automation_runs",
        "List automation runs",
        query=shapes.AutomationRunQuery,
        answers={200: CursorPage[shapes.AutomationRunState]},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        """Each time that a rule met an alert, the newest first."""
        wanted = query(request, shapes.AutomationRunQuery)
        given = {"rule_id": wanted.rule, "outcome": wanted.outcome}
        rows = AutomationRun.objects.filter(**{name: value for name, value in given.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shapes.shown_run))


def _made_detection(request: Request, wanted: shapes.NewDetectionRule, now: datetime) -> HttpResponse:
    rule = guard_rules.save_detection(None, _given(wanted), now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{rule.slug}")
    return answer(shapes.shown_detection(rule), 201, {"Location": location})


def _made_automation(request: Request, wanted: shapes.NewAutomationRule, now: datetime) -> HttpResponse:
    rule = guard_rules.save_automation(None, _given(wanted), now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{rule.pk}")
    return answer(shapes.shown_automation(rule), 201, {"Location": location})


def _trial(rule: AutomationRule, alert: Any, now: datetime) -> shapes.AutomationTrial:
    would = refused = ""
    try:
        would = automation.try_out(rule, alert, now=now)
    except Refusal as refusal:
        refused = refusal.detail
    return shapes.AutomationTrial(alert_id=alert.pk, alertname=alert.name, would=would, refused=refused)


def _given(wanted: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that were given, in plain Python."""
    fields = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    plain: dict[str, Any] = msgspec.to_builtins({name: value for name, value in fields.items() if value is not UNSET})
    return plain


def _detection(slug: str) -> DetectionRule:
    return _found(DetectionRule, "there is no such detection rule", slug=slug)


def _automation(rule_id: UUID) -> AutomationRule:
    return _found(AutomationRule, "there is no such automation rule", pk=rule_id)


def _found(model: type[_Row], detail: str, **where: Any) -> _Row:
    row = model._default_manager.filter(**where).first()
    if row is None:
        raise Missing(detail)
    return row
