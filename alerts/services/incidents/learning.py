"""What is learned from an incident: the postmortem and the things to be done about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import F

from alerts.models import ActionItem, Postmortem
from alerts.services.incidents.timeline import get, record_event
from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing

PART_LENGTH = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PostmortemText:
    """The parts of a review, in Markdown."""

    summary: str = ""
    impact: str = ""
    root_causes: str = ""
    lessons: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTerms:
    """Something to be done, by whom and until when."""

    title: str
    owner: User | None = None
    due_date: date | None = None
    link: str = ""


def save_postmortem(
    incident_id: UUID, text: PostmortemText, *, revision: int | None = None, now: datetime
) -> Postmortem:
    """Write the review of an incident. With the `revision` that the writer read, nobody's text is written over.

    Raises Missing, Conflict when it changed meanwhile, and Invalid.
    """
    parts = asdict(text)
    long = [name for name, value in parts.items() if len(value) > PART_LENGTH]
    if long:
        detail = f"At most {PART_LENGTH} characters."
        raise Invalid(detail, errors=[FieldError(f"/{name}", "max_length", detail) for name in long])
    with transaction.atomic():
        incident = get(incident_id)
        found, made = Postmortem.objects.get_or_create(incident=incident, defaults={"created_at": now})
        before = {name: getattr(found, name) for name in parts}
        if made and revision not in {None, 0}:
            raise Conflict("There is no such revision.", code="changed_meanwhile")
        if before != parts:
            rows = Postmortem.objects.filter(pk=found.pk)
            rows = rows.filter(revision=revision) if revision and not made else rows
            if not rows.update(**parts, revision=F("revision") + 1):
                raise Conflict("Somebody else changed the postmortem meanwhile.", code="changed_meanwhile")
            record_event(incident, "postmortem_written", now=now)
            changed = sorted(name for name in parts if before[name] != parts[name])
            audit.record("incident.postmortem_written", incident, now=now, after={"parts": changed})
        found.refresh_from_db()
    return found


def publish_postmortem(incident_id: UUID, *, now: datetime) -> Postmortem:
    """Show the review to everybody who may see the incident. Twice changes nothing. Raises Missing and Conflict."""
    with transaction.atomic():
        incident = get(incident_id)
        postmortem = Postmortem.objects.filter(incident=incident).first()
        if postmortem is None or not postmortem.summary.strip():
            raise Conflict("A postmortem needs a summary before it is published.", code="empty")
        if incident.resolved_at is None:
            raise Conflict("The incident is not resolved yet.", code="state")
        if Postmortem.objects.filter(pk=postmortem.pk, published_at=None).update(published_at=now):
            record_event(incident, "postmortem_published", now=now)
            audit.record("incident.postmortem_published", incident, now=now)
        postmortem.refresh_from_db()
    return postmortem


def add_action_item(incident_id: UUID, terms: ActionTerms, *, now: datetime) -> ActionItem:
    """Write down something to be done. Raises Missing and Invalid."""
    _check(terms)
    with transaction.atomic():
        incident = get(incident_id)
        item = ActionItem.objects.create(incident=incident, **_values(terms))
        record_event(incident, "action_item_added", now=now, text=item.title)
        audit.record("incident.action_item_added", incident, now=now, after=_described(item))
    return item


def change_action_item(incident_id: UUID, item_id: int, terms: ActionTerms, *, now: datetime) -> ActionItem:
    """Change what is to be done, by whom or until when. Raises Missing and Invalid."""
    _check(terms)
    with transaction.atomic():
        item = _item(incident_id, item_id)
        before = _described(item)
        ActionItem.objects.filter(pk=item.pk).update(**_values(terms))
        item.refresh_from_db()
        audit.record("incident.action_item_changed", item.incident, now=now, before=before, after=_described(item))
    return item


def set_action_done(incident_id: UUID, item_id: int, *, done: bool, now: datetime) -> ActionItem:
    """Say that something is done, or not after all. Twice changes nothing. Raises Missing."""
    with transaction.atomic():
        item = _item(incident_id, item_id)
        rows = ActionItem.objects.filter(pk=item.pk, done_at__isnull=done)
        if rows.update(done_at=now if done else None):
            record_event(item.incident, "action_item_done" if done else "action_item_undone", now=now, text=item.title)
            audit.record("incident.action_item_done", item.incident, now=now, after={"item": item.pk, "done": done})
        item.refresh_from_db()
    return item


def _item(incident_id: UUID, item_id: int) -> ActionItem:
    item = ActionItem.objects.select_related("incident").filter(incident=incident_id, pk=item_id).first()
    if item is None:
        raise Missing("The incident has no such action item.")
    return item


def _values(terms: ActionTerms) -> dict[str, object]:
    return {"title": terms.title.strip(), "owner": terms.owner, "due_date": terms.due_date, "link": terms.link}


def _described(item: ActionItem) -> dict[str, object]:
    return {"item": item.pk, "title": item.title, "owner": item.owner_id, "due_date": item.due_date, "link": item.link}


def _check(terms: ActionTerms) -> None:
    mistakes = []
    if not 0 < len(terms.title.strip()) <= 300:
        mistakes.append(FieldError("/title", "length", "A title has 1 to 300 characters."))
    if terms.link:
        try:
            URLValidator(schemes=["http", "https"])(terms.link)
        except ValidationError:
            mistakes.append(FieldError("/link", "url", "Not an http or https address."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)
