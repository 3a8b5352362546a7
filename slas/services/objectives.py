"""Making and changing services, indicators and objectives; every act is one transaction and one audit entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from slas import buckets, histogram
from slas.buckets.rejudging import apply_threshold
from slas.choices import SliSource
from slas.models import Service, Sli, Slo, SloComponent, SloRevision, SourceReading
from slas.objective_rules import composite_mistakes, sli_mistakes, slo_mistakes
from slas.services.evaluating import evaluate_slo, forget
from slas.services.policy_steps import end_all
from slas.terms import FIELDS, to_values

Values = Mapping[str, Any]
SERVICE_FIELDS = ("slug", "name", "description", "owner", "tier", "entity_type", "entity_id", "labels")
SLI_FIELDS = (
    "slug", "name", "description", "kind", "source", "config", "operator", "threshold", "unit", "slice_seconds",
    "slice_target", "no_data", "lateness_seconds",
)  # fmt: skip
CHANGEABLE_SLI_FIELDS = (
    "name", "description", "config", "operator", "threshold", "unit", "slice_target", "no_data", "lateness_seconds",
)  # fmt: skip
SLO_FIELDS = ("slug", "name", "description", *FIELDS, "policy_id")
CHANGEABLE_SLO_FIELDS = ("name", "description", "target", "window", "window_days", "calendar_unit", "time_zone",
                         "budgeting", "alerting", "policy_id")  # fmt: skip


@transaction.atomic
def create_service(values: Values, *, now: datetime) -> Service:
    """Make a service. Raises Invalid with every mistake, Conflict when the slug is taken."""
    service = Service(**_known(values, SERVICE_FIELDS), created_at=now)
    _check(service, ())
    _insert(service, "/slug", "there is a service of this slug already")
    audit.record("service.created", service, now=now, after=_facts(service, SERVICE_FIELDS))
    return service


@transaction.atomic
def change_service(service_id: UUID, values: Values, *, now: datetime) -> Service:
    """Change what is known of a service, all but its slug. Raises Missing and Invalid."""
    service = Service.objects.select_for_update().filter(pk=service_id).first()
    if service is None:
        raise Missing("There is no such service.")
    before = _facts(service, SERVICE_FIELDS)
    _assign(service, values, SERVICE_FIELDS[1:])
    _check(service, ())
    service.save()
    audit.record("service.changed", service, now=now, before=before, after=_facts(service, SERVICE_FIELDS))
    return service


@transaction.atomic
def create_sli(service: Service, values: Values, *, now: datetime) -> Sli:
    """Make an indicator of a service; one with a source of its own is read within a minute. Raises as above."""
    sli = Sli(service=service, **_known(values, SLI_FIELDS), created_at=now)
    _check(sli, sli_mistakes(sli))
    _insert(sli, "/slug", "this service has an indicator of this slug already")
    if sli.source != SliSource.PUSH:
        SourceReading.objects.create(sli=sli, next_at=now)
    audit.record("sli.created", sli, now=now, after=_facts(sli, SLI_FIELDS))
    return sli


@transaction.atomic
def change_sli(sli_id: UUID, values: Values, *, now: datetime, retroactive: bool = False, reason: str = "") -> Sli:
    """Change an indicator. With `retroactive`, a new threshold judges everything kept anew, from its histograms.

    Raises Missing, Invalid, and Invalid at /threshold when the past cannot be asked this threshold exactly.
    """
    locked = buckets.lock([sli_id])
    if not locked:
        raise Missing("There is no such indicator.")
    sli = locked[0]
    before = _facts(sli, SLI_FIELDS)
    _assign(sli, values, CHANGEABLE_SLI_FIELDS)
    _check(sli, sli_mistakes(sli))
    sli.save()
    if retroactive and sli.threshold is not None:
        _ask_the_past(sli, sli.threshold)
    after = {**_facts(sli, SLI_FIELDS), "retroactive": retroactive}
    audit.record("sli.changed", sli, now=now, before=before, after=after, reason=reason)
    return sli


@transaction.atomic
def create_slo(
    service: Service, sli: Sli | None, values: Values, *, now: datetime, parts: Sequence[Values] = ()
) -> Slo:
    """Make an objective with its first revision, and evaluate it. Raises Invalid with every mistake, and Conflict.

    A composite has no indicator; `parts` are its objectives with `child` (an id), `weight` and `when_delayed`.
    """
    given = {"time_zone": settings.ORGANISATION_TIME_ZONE, **_known(values, SLO_FIELDS)}
    slo = Slo(service=service, sli=sli, **given, created_at=now)
    _check(slo, slo_mistakes(slo))
    children = [_child(part, number) for number, part in enumerate(parts)]
    if wrong := composite_mistakes(slo, [child for child, _ in children]):
        raise Invalid(wrong[0].detail, errors=wrong)
    _insert(slo, "/slug", "this service has an objective of this slug already")
    for child, part in children:
        SloComponent.objects.create(
            parent=slo, child=child, weight=part.get("weight", Decimal(1)),
            when_delayed=part.get("when_delayed", "ignore"),
        )  # fmt: skip
    _revise(slo, now, "")
    audit.record("slo.created", slo, now=now, after={**_facts(slo, SLO_FIELDS), "sli": str(slo.sli_id or "")})
    evaluate_slo(slo, now=now)
    return slo


@transaction.atomic
def change_slo(slo_id: UUID, values: Values, *, now: datetime, reason: str = "") -> Slo:
    """Change an objective. Other terms are a new revision from now on; days that are closed keep the terms they had.

    Raises Missing and Invalid with every mistake.
    """
    slo = _locked_slo(slo_id)
    before, terms = _facts(slo, SLO_FIELDS), to_values(slo)
    _assign(slo, values, CHANGEABLE_SLO_FIELDS)
    _check(slo, slo_mistakes(slo))
    if to_values(slo) != terms:
        slo.revision += 1
        _revise(slo, now, reason)
    slo.save()
    audit.record("slo.changed", slo, now=now, before=before, after=_facts(slo, SLO_FIELDS), reason=reason)
    if slo.enabled:
        evaluate_slo(slo, now=now)
    return slo


@transaction.atomic
def set_enabled(slo_id: UUID, *, enabled: bool, now: datetime, reason: str = "") -> Slo:
    """Switch the evaluation of an objective on or off; its buckets and history stay. Twice changes nothing."""
    slo = _locked_slo(slo_id)
    if slo.enabled == enabled:
        return slo
    Slo.objects.filter(pk=slo.pk).update(enabled=enabled)
    slo.enabled = enabled
    audit.record("slo.enabled" if enabled else "slo.disabled", slo, now=now, reason=reason)
    if enabled:
        evaluate_slo(slo, now=now)
    else:
        forget(slo, now=now)
        end_all(slo, now=now)
    return slo


def _ask_the_past(sli: Sli, threshold: Decimal) -> None:
    if not histogram.is_boundary(threshold) or sli.operator not in histogram.EXACT_OPERATORS:
        below, above = histogram.neighbours(threshold)
        detail = (
            f"the past can be asked for at most or more than one of the fixed boundaries; the nearest are"
            f" {below.normalize():f} and {above.normalize():f}"
        )
        raise Invalid(detail, errors=[FieldError("/threshold", "not_a_boundary", detail)])
    try:
        apply_threshold(sli, sli.operator, threshold)
    except ValueError as error:
        detail = f"the past cannot be asked: {error}"
        raise Invalid(detail, errors=[FieldError("/threshold", "no_histogram", detail)]) from error


def _revise(slo: Slo, now: datetime, reason: str) -> None:
    SloRevision.objects.create(
        slo=slo, number=slo.revision, effective_from=now, terms=to_values(slo), reason=reason[:500],
        created_by=current().actor.label[:200],
    )  # fmt: skip


def _child(part: Values, number: int) -> tuple[Slo, Values]:
    child = Slo.objects.select_related("sli").filter(pk=part["child"]).first()
    if child is None:
        detail = "there is no such objective"
        raise Invalid(detail, errors=[FieldError(f"/parts/{number}/child", "not_found", detail)])
    return child, part


def _locked_slo(slo_id: UUID) -> Slo:
    slo = Slo.objects.select_for_update(of=("self",)).select_related("service", "sli").filter(pk=slo_id).first()
    if slo is None:
        raise Missing("There is no such objective.")
    return slo


def _known(values: Values, names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _assign(row: Any, values: Values, names: Sequence[str]) -> None:
    for name, value in _known(values, names).items():
        setattr(row, name, value)


def _facts(row: Any, names: Sequence[str]) -> dict[str, object]:
    return {name: getattr(row, name) for name in names}


def _check(row: Any, more: Sequence[FieldError]) -> None:
    """Raise Invalid with what the fields and the rules object to."""
    found = list(more)
    try:
        row.clean_fields()
    except ValidationError as error:
        named = {mistake.pointer for mistake in found}
        for name, texts in error.message_dict.items():
            if f"/{name}" not in named:
                found.append(FieldError(f"/{name}", "invalid", " ".join(texts)))
    if found:
        raise Invalid(found[0].detail, errors=found)


def _insert(row: Any, pointer: str, detail: str) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(detail, code="already_there", errors=[FieldError(pointer, "taken", detail)]) from error
