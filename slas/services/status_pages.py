"""Status pages are published and withdrawn, incidents told and updated; proposals come from conditions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.models import ConditionRecord
from slas.choices import Impact, IncidentStage
from slas.models import Slo, StatusComponent, StatusIncident, StatusPage, StatusUpdate
from slas.services.contracts.terms import check_time_zone
from slas.services.customers import SLUG

IMPACT_OF = {"critical": Impact.MAJOR, "high": Impact.PARTIAL}
SOURCES = ("slas.burn", "slas.budget")


@transaction.atomic
def publish_page(page_id: UUID, *, now: datetime) -> StatusPage:
    """Let everybody see a page. Raises Missing, or Conflict when it is public already or has no component."""
    page = _page(page_id)
    if not page.components.exists():
        raise Conflict("a page without components says nothing: add one first", code="no_components")
    if not StatusPage.objects.filter(pk=page.pk, published_at=None).update(published_at=now):
        raise Conflict("the page is public already", code="already_public")
    audit.record("status_page.published", page, now=now, after={"slug": page.slug})
    page.refresh_from_db()
    return page


@transaction.atomic
def withdraw_page(page_id: UUID, *, reason: str, now: datetime) -> StatusPage:
    """Take a page away from the public. Raises Missing, or Conflict when it is not public."""
    page = _page(page_id)
    if not StatusPage.objects.filter(pk=page.pk, published_at__isnull=False).update(published_at=None):
        raise Conflict("the page is not public", code="not_public")
    audit.record("status_page.withdrawn", page, now=now, after={"slug": page.slug}, reason=reason)
    page.refresh_from_db()
    return page


@transaction.atomic
def tell_incident(
    page_id: UUID,
    *,
    title: str,
    text: str,
    now: datetime,
    impact: str = Impact.DEGRADED,
    stage: str = IncidentStage.INVESTIGATING,
    components: Collection[str] = (),
) -> StatusIncident:
    """Tell the public of an incident on a page, with its first update; `components` are slugs of the page.

    Raises Missing for an unknown page, Invalid for senseless values.
    """
    page = _page(page_id)
    affected = _components(page, components)
    _check_words(title, text, impact, stage)
    incident = StatusIncident.objects.create(
        page=page,
        title=title.strip(),
        impact=impact,
        stage=stage,
        started_at=now,
        resolved_at=now if stage == IncidentStage.RESOLVED else None,
        published_at=now,
        created_at=now,
    )
    incident.components.set(affected)
    _say(incident, stage, text, now)
    audit.record("status_incident.told", incident, now=now, after={"title": title, "impact": impact, "stage": stage})
    return incident


@transaction.atomic
def update_incident(incident_id: UUID, *, stage: str, text: str, now: datetime) -> StatusUpdate:
    """Say what is new; “resolved” ends the incident. Raises Missing, Invalid, or Conflict when it is over or unseen."""
    incident = _incident(incident_id)
    _check_words(incident.title, text, incident.impact, stage)
    changes: dict[str, object] = {"stage": stage}
    if stage == IncidentStage.RESOLVED:
        changes["resolved_at"] = now
    running = StatusIncident.objects.filter(pk=incident.pk, resolved_at=None, published_at__isnull=False)
    if not running.update(**changes):
        raise Conflict("the incident is over, or was never told", code="incident_state")
    update = _say(incident, stage, text, now)
    audit.record("status_incident.updated", incident, now=now, before={"stage": incident.stage}, after={"stage": stage})
    return update


@transaction.atomic
def publish_proposal(incident_id: UUID, *, title: str, text: str, impact: str, now: datetime) -> StatusIncident:
    """Tell the public of a proposed incident, in words of one's own. Raises Missing, Invalid, or Conflict."""
    incident = _incident(incident_id)
    _check_words(title, text, impact, IncidentStage.INVESTIGATING)
    waiting = StatusIncident.objects.filter(pk=incident.pk, published_at=None, dismissed_at=None)
    if not waiting.update(published_at=now, title=title.strip(), impact=impact, resolved_at=None):
        raise Conflict("this is no proposal that waits", code="incident_state")
    _say(incident, IncidentStage.INVESTIGATING, text, now)
    audit.record("status_incident.told", incident, now=now, after={"title": title, "impact": impact})
    incident.refresh_from_db()
    return incident


@transaction.atomic
def dismiss_proposal(incident_id: UUID, *, reason: str, now: datetime) -> None:
    """Decide that the public need not hear of a proposal. Raises Missing, or Conflict when it was told already."""
    incident = _incident(incident_id)
    waiting = StatusIncident.objects.filter(pk=incident.pk, published_at=None, dismissed_at=None)
    if not waiting.update(dismissed_at=now):
        raise Conflict("this is no proposal that waits", code="incident_state")
    audit.record("status_incident.dismissed", incident, now=now, reason=reason)


def propose(*, now: datetime) -> int:
    """Propose an incident for each firing condition about a component's service; return how many are new.

    A proposal whose condition is over, and that nobody has told or dismissed, is marked as over.
    """
    firing = {
        f"{row.source}:{row.key}": row
        for row in ConditionRecord.objects.filter(source__in=SOURCES, firing=True).order_by("pk")
    }
    over = StatusIncident.objects.filter(published_at=None, resolved_at=None).exclude(proposed_from="")
    over.exclude(proposed_from__in=list(firing)).update(resolved_at=now, stage=IncidentStage.RESOLVED)
    by_service = _components_by_service()
    return sum(
        _propose(page, name, row, components, now)
        for name, row in firing.items()
        for page, components in by_service.get(str(row.labels.get("service", "")), {}).items()
    )


def _propose(
    page: StatusPage, name: str, row: ConditionRecord, components: Iterable[StatusComponent], now: datetime
) -> int:
    if StatusIncident.objects.filter(page=page, proposed_from=name, resolved_at=None).exists():
        return 0
    affected = list(components)
    try:
        with transaction.atomic():
            # The condition's own words stay inside: the title names what the page shows already.
            incident = StatusIncident.objects.create(
                page=page,
                title=f"Problems with {', '.join(component.name for component in affected)}"[:200],
                impact=IMPACT_OF.get(row.severity, Impact.DEGRADED),
                started_at=row.raised_at,
                proposed_from=name,
                created_at=now,
            )
            incident.components.set(affected)
    except IntegrityError:
        # Somebody else has proposed it just now.
        return 0
    return 1


def _components_by_service() -> dict[str, dict[StatusPage, list[StatusComponent]]]:
    found: dict[str, dict[StatusPage, list[StatusComponent]]] = {}
    wanted = Q(page__propose_incidents=True, page__published_at__isnull=False, slo__isnull=False)
    for row in StatusComponent.objects.filter(wanted).select_related("page", "slo__service").order_by("position", "pk"):
        assert row.slo is not None
        found.setdefault(row.slo.service.slug, {}).setdefault(row.page, []).append(row)
    return found


def _say(incident: StatusIncident, stage: str, text: str, now: datetime) -> StatusUpdate:
    return StatusUpdate.objects.create(
        incident=incident, stage=stage, text=text.strip(), at=now, written_by=current().actor.label
    )


def _components(page: StatusPage, slugs: Collection[str]) -> list[StatusComponent]:
    found = list(page.components.filter(slug__in=list(slugs)))
    if missing := set(slugs) - {component.slug for component in found}:
        detail = f"the page has no component {', '.join(sorted(missing))}"
        raise Invalid(detail, errors=[FieldError("/components", "unknown_component", detail)])
    return found


def _check_words(title: str, text: str, impact: str, stage: str) -> None:
    errors = []
    if not title.strip() or len(title) > 200:
        errors.append(FieldError("/title", "invalid", "a title has 1 to 200 characters"))
    if not text.strip() or len(text) > 5000:
        errors.append(FieldError("/text", "invalid", "a text has 1 to 5,000 characters"))
    if impact not in {Impact.OPERATIONAL, Impact.DEGRADED, Impact.PARTIAL, Impact.MAJOR}:
        errors.append(FieldError("/impact", "not_a_choice", "an impact is operational, degraded, partial or major"))
    if stage not in IncidentStage.values:
        errors.append(FieldError("/stage", "not_a_choice", f"a stage is one of {', '.join(IncidentStage.values)}"))
    if errors:
        raise Invalid("; ".join(error.detail for error in errors), errors=errors)


def _page(page_id: UUID) -> StatusPage:
    page = StatusPage.objects.filter(pk=page_id).first()
    if page is None:
        raise Missing("there is no such status page")
    return page


def _incident(incident_id: UUID) -> StatusIncident:
    incident = StatusIncident.objects.filter(pk=incident_id).first()
    if incident is None:
        raise Missing("there is no such incident")
    return incident


@dataclass(frozen=True, slots=True)
class ComponentDraft:
    """One line of a page; `slo` is (service, objective) by their slugs, or None when only people speak of it."""

    slug: str
    name: str
    description: str = ""
    section: str = ""
    slo: tuple[str, str] | None = None
    degraded_below: Decimal = Decimal(99)
    outage_below: Decimal = Decimal(50)
    forced: str = ""


@transaction.atomic
def create_page(
    *, slug: str, title: str, time_zone: str, now: datetime, description: str = "", propose_incidents: bool = True
) -> StatusPage:
    """Make a private page without components. Raises Invalid for senseless values, Conflict for a slug in use."""
    _check_page(slug, title)
    check_time_zone(time_zone)
    try:
        with transaction.atomic():
            page = StatusPage.objects.create(
                slug=slug,
                title=title.strip(),
                description=description,
                time_zone=time_zone,
                propose_incidents=propose_incidents,
                created_at=now,
            )
    except IntegrityError as error:
        raise Conflict(f"there is a status page {slug}", code="slug_taken") from error
    audit.record("status_page.created", page, now=now, after={"slug": slug, "title": title})
    return page


@transaction.atomic
def change_page(page_id: UUID, *, now: datetime, **changes: object) -> StatusPage:
    """Change title, description, time zone, whether it is the main page, or proposes incidents. Raises Invalid."""
    page = _page(page_id)
    before = {name: getattr(page, name) for name in changes}
    after = {name: value for name, value in changes.items() if before[name] != value}
    if not after:
        return page
    _check_page(page.slug, str(after.get("title", page.title)))
    if "time_zone" in after:
        check_time_zone(str(after["time_zone"]))
    if after.get("main"):
        # One page at a time stands at /status.
        StatusPage.objects.filter(main=True).exclude(pk=page.pk).update(main=False)
    StatusPage.objects.filter(pk=page.pk).update(**after)
    audit.record("status_page.changed", page, now=now, before={name: before[name] for name in after}, after=after)
    page.refresh_from_db()
    return page


@transaction.atomic
def set_components(page_id: UUID, drafts: Sequence[ComponentDraft], *, now: datetime) -> StatusPage:
    """Make these the components of a page, in this order; one that keeps its slug keeps its incidents.

    Raises Invalid for senseless values, a slug given twice or an objective that does not exist.
    """
    page = _page(page_id)
    rows = [_component(page, number, draft) for number, draft in enumerate(drafts)]
    slugs = [row.slug for row in rows]
    if len(set(slugs)) != len(slugs):
        raise _wrong("/components", "two components have the same slug")
    page.components.exclude(slug__in=slugs).delete()
    for row in rows:
        values = {name: getattr(row, name) for name in COMPONENT_COLUMNS}
        StatusComponent.objects.update_or_create(page=page, slug=row.slug, defaults=values)
    audit.record("status_page.components_set", page, now=now, after={"components": slugs})
    return page


@transaction.atomic
def delete_page(page_id: UUID, *, now: datetime) -> None:
    """Remove a private page with all that was said on it. Raises Conflict for a public one: withdraw it first."""
    page = _page(page_id)
    if page.published_at is not None:
        raise Conflict("a public page is withdrawn before it is removed", code="page_public")
    audit.record("status_page.deleted", page, now=now, before={"slug": page.slug, "title": page.title})
    page.delete()


COMPONENT_COLUMNS = (
    "name", "description", "section", "position", "slo", "degraded_below", "outage_below", "forced",
)  # fmt: skip


def _component(page: StatusPage, number: int, draft: ComponentDraft) -> StatusComponent:
    place = f"/components/{number}"
    slo = None
    if draft.slo is not None:
        slo = Slo.objects.filter(service__slug=draft.slo[0], slug=draft.slo[1]).first()
        if slo is None:
            raise _wrong(f"{place}/objective", f"the service {draft.slo[0]} has no objective {draft.slo[1]}")
    row = StatusComponent(
        page=page, slug=draft.slug, name=draft.name, description=draft.description, section=draft.section,
        position=number, slo=slo, degraded_below=draft.degraded_below, outage_below=draft.outage_below,
        forced=draft.forced,
    )  # fmt: skip
    if not 0 <= draft.outage_below <= draft.degraded_below <= 100:
        raise _wrong(f"{place}/outage_below", "0 <= outage_below <= degraded_below <= 100, in percent")
    try:
        row.full_clean(exclude=("page",), validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise _wrong(place, "; ".join(error.messages)) from error
    return row


def _check_page(slug: str, title: str) -> None:
    if not SLUG.fullmatch(slug):
        raise _wrong("/slug", "a slug has a-z, 0-9 and -")
    if not title.strip() or len(title) > 200:
        raise _wrong("/title", "a title has 1 to 200 characters")


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, "invalid", detail)])
