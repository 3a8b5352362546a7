"""Exclusions: spans that do not count, announced beforehand, or afterwards with a second person's approval.

What was measured is never changed: an exclusion is subtracted next to it, and both figures stay visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.db import transaction

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.models import Approval
from core.recurrence import check_recurrence
from core.windows import Window
from slas import buckets
from slas.buckets.rejudging import apply_exclusions
from slas.choices import AppliesTo, ExclusionCategory
from slas.models import Exclusion, Service, Sli
from slas.periods import HOUR, floored

RETROACTIVE = "slas.apply_exclusion"
OLDEST = timedelta(days=400)
FIELDS = (
    "starts_at", "ends_at", "recurrence", "time_zone", "category", "applies_to", "reason", "announced_at", "service_id",
    "sli_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExclusionTerms:
    """What an exclusion is to take out. Without a service and an indicator: of everything."""

    starts_at: datetime
    ends_at: datetime
    category: str
    reason: str
    service: Service | None = None
    sli: Sli | None = None
    recurrence: str = ""
    time_zone: str = ""
    applies_to: str = AppliesTo.BOTH
    announced_at: datetime | None = None


@transaction.atomic
def exclude(terms: ExclusionTerms, *, now: datetime) -> Exclusion:
    """Make an exclusion. One that begins in the future is in force at once; any other waits for a second person.

    Raises Invalid with every mistake, and Forbidden where the caller may not ask for an approval.
    """
    _check(terms, now)
    actor = current().actor
    exclusion = Exclusion.objects.create(
        service=terms.service, sli=terms.sli, starts_at=terms.starts_at, ends_at=terms.ends_at,
        recurrence=terms.recurrence, time_zone=terms.time_zone, category=terms.category, applies_to=terms.applies_to,
        reason=terms.reason.strip(), announced_at=terms.announced_at, created_at=now, created_by=actor.label[:200],
    )  # fmt: skip
    audit.record("exclusion.created", exclusion, now=now, after=_facts(exclusion), reason=terms.reason)
    if terms.starts_at >= now:
        _put_in_force(exclusion, actor.label, now)
    else:
        _ask(exclusion, now)
    return exclusion


@transaction.atomic
def change(exclusion_id: UUID, *, starts_at: datetime, ends_at: datetime, reason: str, now: datetime) -> Exclusion:
    """Move an exclusion; what it has taken out is counted anew.

    While old and new span lie in the future, at once; otherwise the old one is withdrawn and the new one waits for a
    second person as any retroactive one does. Returns the exclusion that stands for it now. Raises Missing, Conflict.
    """
    old = _locked(exclusion_id)
    terms = ExclusionTerms(
        starts_at, ends_at, old.category, old.reason, old.service, old.sli, old.recurrence, old.time_zone,
        old.applies_to, old.announced_at,
    )  # fmt: skip
    if min(old.starts_at, starts_at) < now:
        withdraw(exclusion_id, reason=reason, now=now)
        return exclude(terms, now=now)
    _check(terms, now)
    before = _facts(old)
    old.starts_at, old.ends_at = starts_at, ends_at
    old.save(update_fields=["starts_at", "ends_at"])
    audit.record("exclusion.changed", old, now=now, before=before, after=_facts(old), reason=reason)
    return old


@transaction.atomic
def withdraw(exclusion_id: UUID, *, reason: str, now: datetime) -> Exclusion:
    """Take an exclusion back: everything it has taken out counts again, except in days that are frozen.

    Raises Missing, Invalid without a reason, and Conflict when it was withdrawn already.
    """
    if not reason.strip():
        raise Invalid("say why", errors=[FieldError("/reason", "required", "say why")])
    exclusion = _locked(exclusion_id)
    was_in_force = bool(exclusion.approved_by)
    exclusion.withdrawn_at = now
    exclusion.save(update_fields=["withdrawn_at"])
    audit.record("exclusion.withdrawn", exclusion, now=now, before=_facts(exclusion), reason=reason)
    if was_in_force:
        _recount(exclusion, now)
    return exclusion


def describe_request(arguments: Mapping[str, object]) -> tuple[Exclusion, list[str]]:
    """Return the exclusion and what exactly approving it does; raises Missing and Conflict."""
    exclusion = _waiting(UUID(str(arguments["exclusion"])))
    what = exclusion.sli or exclusion.service or "every service"
    lines = [
        f"Take {_span(exclusion)} out of {what}, although it has begun already",
        f"{exclusion.get_category_display()}; applies to {exclusion.get_applies_to_display()}",
        f"Because: {exclusion.reason}",
        "What was measured stays visible next to what counts; frozen days keep their figures",
    ]
    return exclusion, lines


def approve(exclusion_id: UUID, *, approved_by: str, now: datetime) -> Exclusion:
    """Put a retroactive exclusion in force and count anew what it takes out; in the caller's transaction."""
    exclusion = _waiting(exclusion_id)
    _put_in_force(exclusion, approved_by, now)
    return exclusion


def turned_down(exclusion_id: UUID, *, now: datetime) -> None:
    """Withdraw an exclusion whose request was refused, withdrawn or left to expire."""
    Exclusion.objects.filter(pk=exclusion_id, withdrawn_at=None, approved_by="").update(withdrawn_at=now)


def _put_in_force(exclusion: Exclusion, approved_by: str, now: datetime) -> None:
    exclusion.approved_by = (approved_by or "system")[:200]
    exclusion.save(update_fields=["approved_by"])
    audit.record("exclusion.in_force", exclusion, now=now, after={"approved_by": exclusion.approved_by})
    _recount(exclusion, now)


def _recount(exclusion: Exclusion, now: datetime) -> None:
    """Count anew what the exclusion reaches of the past, for every indicator in its scope."""
    if exclusion.starts_at > now or exclusion.applies_to == AppliesTo.SLA:
        return
    end = now + timedelta(minutes=10) if exclusion.recurrence else min(exclusion.ends_at, now + timedelta(minutes=10))
    window = Window(max(floored(exclusion.starts_at, HOUR), floored(now - OLDEST, HOUR)), floored(end + HOUR, HOUR))
    slis = buckets.lock(_in_scope(exclusion))
    if apply_exclusions(slis, window) and not exclusion.estimated:
        exclusion.estimated = True
        exclusion.save(update_fields=["estimated"])


def _in_scope(exclusion: Exclusion) -> Iterable[UUID]:
    slis = Sli.objects.order_by("pk")
    if exclusion.sli_id is not None:
        slis = slis.filter(pk=exclusion.sli_id)
    if exclusion.service_id is not None:
        slis = slis.filter(service=exclusion.service_id)
    return slis.values_list("pk", flat=True)


def _ask(exclusion: Exclusion, now: datetime) -> Approval:
    from core.approvals import request_approval

    return request_approval(RETROACTIVE, {"exclusion": str(exclusion.pk)}, reason=exclusion.reason, now=now)


def _check(terms: ExclusionTerms, now: datetime) -> None:
    wrong = []
    if terms.ends_at <= terms.starts_at:
        wrong.append(FieldError("/ends_at", "before_start", "an exclusion ends after it begins"))
    for name in ("starts_at", "ends_at"):
        moment: datetime = getattr(terms, name)
        if moment.second or moment.microsecond:
            wrong.append(FieldError(f"/{name}", "whole_minutes", "exclusions begin and end at whole minutes"))
    if terms.starts_at < now - OLDEST:
        wrong.append(FieldError("/starts_at", "out_of_range", "no more than 400 days back is kept to be counted anew"))
    if not 0 < len(terms.reason.strip()) <= 500:
        wrong.append(FieldError("/reason", "required", "say why, in 1 to 500 characters"))
    if terms.category not in ExclusionCategory.values or terms.applies_to not in AppliesTo.values:
        wrong.append(FieldError("/category", "not_a_choice", "there is no such category or scope"))
    if terms.sli and terms.service and terms.sli.service_id != terms.service.pk:
        wrong.append(FieldError("/sli", "other_service", "the indicator belongs to another service"))
    if terms.time_zone and terms.time_zone not in available_timezones():
        wrong.append(FieldError("/time_zone", "not_a_choice", "this is no time zone such as Europe/Paris"))
    if wrong:
        raise Invalid(wrong[0].detail, errors=wrong)
    check_recurrence(Window(terms.starts_at, terms.ends_at), terms.recurrence, None, terms.time_zone or "UTC")


def _locked(exclusion_id: UUID) -> Exclusion:
    rows = Exclusion.objects.select_for_update(of=("self",)).select_related("service", "sli")
    exclusion = rows.filter(pk=exclusion_id).first()
    if exclusion is None:
        raise Missing("There is no such exclusion.")
    if exclusion.withdrawn_at is not None:
        raise Conflict("This exclusion was withdrawn already.")
    return exclusion


def _waiting(exclusion_id: UUID) -> Exclusion:
    exclusion = _locked(exclusion_id)
    if exclusion.approved_by:
        raise Conflict("This exclusion is in force already.")
    return exclusion


def _span(exclusion: Exclusion) -> str:
    again = f", again by {exclusion.recurrence}" if exclusion.recurrence else ""
    return f"{exclusion.starts_at:%Y-%m-%d %H:%M} to {exclusion.ends_at:%Y-%m-%d %H:%M} UTC{again}"


def _facts(exclusion: Exclusion) -> dict[str, Any]:
    return {name: getattr(exclusion, name) for name in FIELDS}
