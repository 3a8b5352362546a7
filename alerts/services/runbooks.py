"""Making, changing and deleting runbooks; every act is one transaction and one audit entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction
from django.utils.text import slugify

from alerts.models import Runbook
from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing

LONGEST_TEXT, MOST_STEPS, LONGEST_STEP = 100_000, 100, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookTerms:
    """What a person writes: a title, Markdown, and the steps that every incident ticks off for itself."""

    title: str
    text: str = ""
    checklist: Sequence[str] = ()
    slug: str = ""


def create_runbook(terms: RunbookTerms, *, now: datetime) -> Runbook:
    """Make a runbook at version 1. Raises Invalid with every mistake."""
    terms = _clean(terms)
    slug = terms.slug or slugify(terms.title)[:100] or "runbook"
    _check(terms, slug)
    with transaction.atomic():
        if Runbook.objects.filter(slug=slug).exists():
            raise Invalid(f"There is a runbook {slug} already.", errors=[FieldError("/slug", "taken", "It is taken.")])
        runbook = Runbook.objects.create(
            slug=slug, title=terms.title, text=terms.text, checklist=list(terms.checklist), updated_at=now
        )
        audit.record("runbook.created", runbook, now=now, after=describe(runbook))
    return runbook


def change_runbook(slug: str, terms: RunbookTerms, *, now: datetime, version: int | None = None) -> Runbook:
    """Give a runbook its next version; what it was stays in the audit log. Its slug, which rules name, stays.

    With `version`, only as long as that is still the current one. Raises Missing, Conflict and Invalid.
    """
    terms = _clean(terms)
    _check(terms, slug)
    with transaction.atomic():
        runbook = _locked(slug)
        if version is not None and version != runbook.version:
            raise Conflict("The runbook was changed by somebody else meanwhile.", code="changed_meanwhile")
        before = describe(runbook)
        runbook.title, runbook.text, runbook.checklist = terms.title, terms.text, list(terms.checklist)
        after = describe(runbook)
        if after != before:
            runbook.version += 1
            runbook.updated_at = now
            runbook.save()
            audit.record("runbook.changed", runbook, now=now, before=before, after=after)
    return runbook


def delete_runbook(slug: str, *, now: datetime) -> None:
    """Delete a runbook; rules and incidents that named it name none. Raises Missing."""
    with transaction.atomic():
        runbook = _locked(slug)
        audit.record("runbook.deleted", runbook, now=now, before=describe(runbook))
        runbook.delete()


def describe(runbook: Runbook) -> dict[str, object]:
    """Return what the audit log keeps of a runbook."""
    return {"slug": runbook.slug, "title": runbook.title, "text": runbook.text, "checklist": runbook.checklist}


def _locked(slug: str) -> Runbook:
    runbook = Runbook.objects.select_for_update().filter(slug=slug).first()
    if runbook is None:
        raise Missing("There is no such runbook.")
    return runbook


def _clean(terms: RunbookTerms) -> RunbookTerms:
    steps = [step.strip() for step in terms.checklist]
    return RunbookTerms(
        title=terms.title.strip(), text=terms.text, checklist=[step for step in steps if step], slug=terms.slug
    )


def _check(terms: RunbookTerms, slug: str) -> None:
    mistakes = list(_mistakes(terms, slug))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _mistakes(terms: RunbookTerms, slug: str) -> Iterator[FieldError]:
    if not 0 < len(terms.title) <= 200:
        yield FieldError("/title", "length", "A title has 1 to 200 characters.")
    if len(terms.text) > LONGEST_TEXT:
        yield FieldError("/text", "max_length", f"A text has at most {LONGEST_TEXT:,} characters.")
    if len(terms.checklist) > MOST_STEPS:
        yield FieldError("/checklist", "max_length", f"A checklist has at most {MOST_STEPS} steps.")
    for index, step in enumerate(terms.checklist):
        if len(step) > LONGEST_STEP:
            yield FieldError(f"/checklist/{index}", "max_length", f"A step has at most {LONGEST_STEP} characters.")
    try:
        validate_slug(slug)
    except ValidationError:
        yield FieldError("/slug", "pattern", "A slug has letters, digits, - and _.")
    if len(slug) > 100:
        yield FieldError("/slug", "max_length", "A slug has at most 100 characters.")
