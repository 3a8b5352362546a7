"""Escalation policies and contact methods: made and changed, each in one transaction with one audit entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from alerts.choices import ChannelKind, StepTarget
from alerts.models import Channel, ContactMethod, EscalationPolicy, EscalationStep, OnCallSchedule
from core import audit
from core.choices import Severity
from core.errors import Conflict, FieldError, Invalid, Missing

LONGEST_WAIT = 1440
MOST_REPEATS = 20


@dataclass(frozen=True, slots=True)
class StepTerms:
    """One step: whom it tells, and how many minutes it waits for an answer."""

    target: User | OnCallSchedule | Channel
    wait_minutes: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTerms:
    """A policy as it is to be."""

    name: str
    steps: Sequence[StepTerms]
    repeats: int = 0
    is_default: bool = False


def create_policy(terms: PolicyTerms, *, now: datetime) -> EscalationPolicy:
    """Make a policy; the default one takes over from another. Raises Invalid, and Conflict for a name in use."""
    _check(terms)
    with transaction.atomic():
        policy = EscalationPolicy()
        _save(policy, terms)
        audit.record("escalationpolicy.added", policy, now=now, after=_described(terms))
    return policy


def change_policy(policy_id: int, terms: PolicyTerms, *, now: datetime) -> EscalationPolicy:
    """Replace a policy's steps; incidents that escalate already go on by what they began with.

    Raises Missing, Invalid and Conflict.
    """
    _check(terms)
    with transaction.atomic():
        policy = get_policy(policy_id)
        before = {"name": policy.name, "repeats": policy.repeats, "is_default": policy.is_default}
        _save(policy, terms)
        audit.record("escalationpolicy.changed", policy, now=now, before=before, after=_described(terms))
    return policy


def delete_policy(policy_id: int, *, now: datetime) -> None:
    """Delete a policy; receivers and incidents that named it follow the default one from then on. Raises Missing."""
    with transaction.atomic():
        policy = get_policy(policy_id)
        audit.record("escalationpolicy.deleted", policy, now=now, before={"name": policy.name})
        policy.delete()


def get_policy(policy_id: int) -> EscalationPolicy:
    """Return a policy. Raises Missing."""
    policy = EscalationPolicy.objects.filter(pk=policy_id).first()
    if policy is None:
        raise Missing("There is no such escalation policy.")
    return policy


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTerms:
    """A contact method as it is to be."""

    kind: str = ChannelKind.EMAIL
    address: str = ""
    delay_minutes: int = 0
    least_severity: str = Severity.INFO
    enabled: bool = True


def save_method(user: User, terms: MethodTerms, *, method: ContactMethod | None = None, now: datetime) -> ContactMethod:
    """Make or change one way to reach a person. Raises Invalid, and Conflict for an address that is there already."""
    check_method(terms)
    found = method or ContactMethod(user=user)
    for name in ("kind", "address", "delay_minutes", "least_severity", "enabled"):
        setattr(found, name, getattr(terms, name))
    try:
        with transaction.atomic():
            found.save()
            after = {"user": user.get_username(), "kind": found.kind, "delay_minutes": found.delay_minutes}
            audit.record("contactmethod.changed" if method else "contactmethod.added", found, now=now, after=after)
    except IntegrityError as error:
        raise Conflict("This contact method is there already.", code="known") from error
    return found


def delete_method(method: ContactMethod, *, now: datetime) -> None:
    """Remove one way to reach a person; messages that wait for it go with it."""
    with transaction.atomic():
        before = {"user": str(method.user), "kind": method.kind}
        audit.record("contactmethod.deleted", method, now=now, before=before)
        method.delete()


def check_method(terms: MethodTerms) -> None:
    """Raise Invalid with every mistake of a contact method."""
    mistakes = []
    if terms.kind not in ChannelKind.values:
        mistakes.append(FieldError("/kind", "not_a_choice", f"One of {', '.join(ChannelKind.values)}."))
    if terms.least_severity not in Severity.values:
        mistakes.append(FieldError("/least_severity", "not_a_choice", f"One of {', '.join(Severity.values)}."))
    if not 0 <= terms.delay_minutes <= LONGEST_WAIT:
        mistakes.append(FieldError("/delay_minutes", "out_of_range", f"0 to {LONGEST_WAIT} minutes."))
    if address := _address_mistake(terms):
        mistakes.append(FieldError("/address", "invalid", address))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _address_mistake(terms: MethodTerms) -> str:
    if not terms.address.strip():
        return "An address is needed."
    if terms.kind == ChannelKind.EMAIL:
        try:
            validate_email(terms.address)
        except ValidationError:
            return "Not an e-mail address."
    if terms.kind in {ChannelKind.SLACK, ChannelKind.TEAMS, ChannelKind.WEBHOOK} and not terms.address.startswith(
        "https://"
    ):
        return "An address that begins with https:// is needed."
    return ""


def _check(terms: PolicyTerms) -> None:
    mistakes = []
    if not 0 < len(terms.name.strip()) <= 120:
        mistakes.append(FieldError("/name", "length", "A name has 1 to 120 characters."))
    if not 0 <= terms.repeats <= MOST_REPEATS:
        mistakes.append(FieldError("/repeats", "out_of_range", f"0 to {MOST_REPEATS}."))
    if not terms.steps:
        mistakes.append(FieldError("/steps", "required", "A policy needs a step."))
    for number, step in enumerate(terms.steps):
        if not 0 <= step.wait_minutes <= LONGEST_WAIT:
            place = f"/steps/{number}/wait_minutes"
            mistakes.append(FieldError(place, "out_of_range", f"0 to {LONGEST_WAIT} minutes."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _save(policy: EscalationPolicy, terms: PolicyTerms) -> None:
    policy.name, policy.repeats, policy.is_default = terms.name.strip(), terms.repeats, terms.is_default
    if terms.is_default:
        EscalationPolicy.objects.filter(is_default=True).exclude(pk=policy.pk).update(is_default=False)
    try:
        with transaction.atomic():
            policy.save()
    except IntegrityError as error:
        raise Conflict(f"A policy “{policy.name}” exists, or another became the default.", code="taken") from error
    policy.steps.all().delete()
    EscalationStep.objects.bulk_create(
        _step(policy, position, step) for position, step in enumerate(terms.steps, start=1)
    )


def _step(policy: EscalationPolicy, position: int, terms: StepTerms) -> EscalationStep:
    step = EscalationStep(policy=policy, position=position, wait_minutes=terms.wait_minutes)
    if isinstance(terms.target, User):
        step.target, step.user = StepTarget.USER, terms.target
    elif isinstance(terms.target, OnCallSchedule):
        step.target, step.schedule = StepTarget.SCHEDULE, terms.target
    else:
        step.target, step.channel = StepTarget.CHANNEL, terms.target
    return step


def _described(terms: PolicyTerms) -> dict[str, object]:
    return {
        "name": terms.name,
        "repeats": terms.repeats,
        "is_default": terms.is_default,
        "steps": [f"{step.target}, {step.wait_minutes} min" for step in terms.steps],
    }
