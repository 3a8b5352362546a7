"""Making and changing automation and detection rules: checked as they will be read, with one audit entry each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db import IntegrityError, models, transaction

from alerts.detection_terms import stored, terms_of
from alerts.matching import as_json, parse_matchers
from alerts.models import AutomationRule, DetectionRule
from core import audit
from core.approvals.people import person_behind
from core.context import current
from core.errors import Conflict, FieldError, Forbidden, Invalid
from core.ports.automation import checked, known_action

AUTOMATION = (
    "name", "matchers", "action", "arguments", "dry_run", "needs_approval", "enabled", "runs_per_hour",
)  # fmt: skip
DETECTION = ("slug", "name", "description", "kind", "parameters", "severity", "enabled")
_Rule = TypeVar("_Rule", AutomationRule, DetectionRule)


def check_automation(values: Mapping[str, Any], person: User | None) -> dict[str, Any]:
    """Return an automation rule's values as they are stored.

    Raises Invalid for matchers, an action or arguments that make no sense, and Forbidden when nobody stands behind
    the rule who may do by hand what it does: a rule gives nobody a right that they lack.
    """
    action = known_action(str(values["action"]))
    arguments = checked(action, values["arguments"])
    further = action.needs(arguments) if action.needs is not None else ""
    for permission in filter(None, (action.permission, further)):
        if person is None or not (person.is_active and person.has_perm(permission)):
            raise Forbidden(f"a rule that does “{action.title}” needs somebody with the permission {permission}")
    matchers = parse_matchers(values["matchers"], pointer="/matchers")
    if not matchers:
        detail = "say which alerts it answers: a rule without matchers would answer all of them"
        raise Invalid(detail, errors=[FieldError("/matchers", "required", detail)])
    return {**values, "matchers": as_json(matchers), "arguments": arguments}


@transaction.atomic
def save_automation(rule: AutomationRule | None, values: Mapping[str, Any], *, now: datetime) -> AutomationRule:
    """Make (None) or change an automation rule. Raises as `check_automation` does, and Conflict for a name taken."""
    stays = {name: getattr(rule, name) for name in AUTOMATION} if rule is not None else {}
    wanted = check_automation({**stays, **values}, person_behind(current().actor))
    made = rule or AutomationRule(created_at=now, created_by=current().actor.label[:200])
    return _saved(made, wanted, stays, now=now)


@transaction.atomic
def save_detection(rule: DetectionRule | None, values: Mapping[str, Any], *, now: datetime) -> DetectionRule:
    """Make (None) or change a detection rule. Raises Invalid for parameters that make no sense, Conflict for a name."""
    stays = {name: getattr(rule, name) for name in DETECTION} if rule is not None else {}
    wanted = {**stays, **values}
    terms_of(str(wanted["kind"]), wanted["parameters"])
    wanted["parameters"] = stored(wanted["parameters"])
    return _saved(rule or DetectionRule(), wanted, stays, now=now)


@transaction.atomic
def delete_rule(rule: AutomationRule | DetectionRule, *, now: datetime) -> None:
    """Delete a rule; raises Conflict for a built-in one, which is switched off instead."""
    if isinstance(rule, DetectionRule) and rule.is_default:
        raise Conflict("a built-in rule is switched off, not deleted", code="rule_is_built_in")
    audit.record(f"{rule._meta.model_name}.deleted", rule, now=now, before={"name": rule.name})
    rule.delete()


def _saved(rule: _Rule, wanted: Mapping[str, Any], before: Mapping[str, Any], *, now: datetime) -> _Rule:
    adding = rule._state.adding
    for name, value in wanted.items():
        setattr(rule, name, value)
    try:
        with transaction.atomic():
            rule.save(force_insert=adding, update_fields=None if adding else list(wanted))
    except IntegrityError as error:
        raise Conflict("there is a rule of this name already", code="name_taken") from error
    changed = {name: value for name, value in wanted.items() if before.get(name) != value or adding}
    if changed:
        _record(rule, {name: before[name] for name in changed if name in before}, changed, now, adding=adding)
    return rule


def _record(rule: models.Model, before: Any, after: Any, now: datetime, *, adding: bool) -> None:
    verb = "added" if adding else "changed"
    audit.record(f"{rule._meta.model_name}.{verb}", rule, now=now, before=before, after=after)
