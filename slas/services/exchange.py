"""OpenSLO documents taken in, all or nothing, and tried out before; what is there already is changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.db import transaction

from core.errors import Conflict, FieldError, Invalid, Refusal
from slas.models import Service, Sli, Slo
from slas.openslo import Bundle, ServicePlan, SliPlan, SloPlan, read, write
from slas.services import objectives

Outcome = Literal["created", "changed", "unchanged"]
# What an indicator is stays: its counts were made by it.
FIXED = ("kind", "source", "slice_seconds")


@dataclass(frozen=True, slots=True)
class Step:
    """What became, or would become, of one row."""

    kind: str
    name: str
    outcome: Outcome
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """Every step of an import, and what could not be taken over."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...]


class _TriedOut(Exception):
    """Takes everything back after a dry run."""


def take_in(text: str, *, dry_run: bool, now: datetime) -> Exchange:
    """Import OpenSLO v1 documents; a dry run does the same and takes it all back.

    Raises OpenSloError for documents that are not sound, Invalid for objectives that this platform refuses, Conflict
    where a known indicator would have to become another one. Nothing is written then.
    """
    bundle = read(text, default_zone=settings.ORGANISATION_TIME_ZONE)
    steps: list[Step] = []
    try:
        with transaction.atomic():
            steps += _apply(bundle, now)
            if dry_run:
                raise _TriedOut
    except _TriedOut:
        pass
    return Exchange(tuple(steps), bundle.warnings)


def give_out(service: str = "") -> str:
    """Return all services and plain objectives, or those of one service, as OpenSLO v1 documents."""
    services = Service.objects.order_by("slug")
    slos = Slo.objects.filter(composite="").select_related("service", "sli").order_by("service__slug", "slug")
    if service:
        services, slos = services.filter(slug=service), slos.filter(service__slug=service)
    return write(services, slos)


def _apply(bundle: Bundle, now: datetime) -> list[Step]:
    steps = [_service(plan, now) for plan in bundle.services]
    known = {row.slug: row for row in Service.objects.filter(slug__in=[plan.slug for plan in bundle.services])}
    steps += [_sli(known[plan.service], plan, now) for plan in bundle.slis]
    return steps + [_slo(known[plan.service], plan, now) for plan in bundle.slos]


def _service(plan: ServicePlan, now: datetime) -> Step:
    row = Service.objects.filter(slug=plan.slug).first()
    if row is None:
        objectives.create_service({"slug": plan.slug, **plan.values}, now=now)
        return Step("service", plan.slug, "created")
    # A service that is only referred to says nothing of its name.
    values = {} if plan.values["name"] == plan.slug else plan.values
    if changed := _changed(row, values):
        objectives.change_service(row.pk, values, now=now)
    return _changed_step("service", plan.slug, changed)


def _sli(service: Service, plan: SliPlan, now: datetime) -> Step:
    name = f"{plan.service}/{plan.slug}"
    row = Sli.objects.filter(service=service, slug=plan.slug).first()
    if row is None:
        objectives.create_sli(service, {"slug": plan.slug, **plan.values}, now=now)
        return Step("sli", name, "created")
    changed = _changed(row, plan.values)
    if different := [field for field in FIXED if field in changed]:
        raise Conflict(f"the indicator {name} is there already with another {', '.join(different)}; rename one of them")
    if changed:
        objectives.change_sli(row.pk, plan.values, now=now)
    return _changed_step("sli", name, changed)


def _slo(service: Service, plan: SloPlan, now: datetime) -> Step:
    name = f"{plan.service}/{plan.slug}"
    values = {"target": plan.target, **plan.values}
    row = Slo.objects.filter(service=service, slug=plan.slug).first()
    sli = Sli.objects.get(service=service, slug=plan.sli)
    try:
        if row is None:
            objectives.create_slo(service, sli, {"slug": plan.slug, **values}, now=now)
            return Step("slo", name, "created")
        if row.sli_id != sli.pk:
            raise Conflict(f"the objective {name} is there already and measured by another indicator")
        if changed := _changed(row, values):
            objectives.change_slo(row.pk, values, now=now, reason="OpenSLO import")
        return _changed_step("slo", name, changed)
    except Invalid as refusal:
        raise _placed(refusal, plan.pointer) from refusal


def _placed(refusal: Refusal, pointer: str) -> Invalid:
    """Return the refusal of an objective with the place of its document before the field."""
    errors = [FieldError(f"{pointer}{error.pointer}", error.code, error.detail) for error in refusal.errors]
    return Invalid(f"{pointer}: {refusal.detail}", code=refusal.code, errors=errors)


def _changed(row: Any, values: Mapping[str, Any]) -> list[str]:
    return [name for name, value in values.items() if getattr(row, name) != value]


def _changed_step(kind: str, name: str, changed: list[str]) -> Step:
    return Step(kind, name, "changed", tuple(changed)) if changed else Step(kind, name, "unchanged")
