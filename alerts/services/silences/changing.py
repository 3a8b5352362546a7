"""Making, changing and ending silences: each with a reason, an end and an entry in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction

from alerts.matching import Matcher, as_json, matches_empty, stored_matchers
from alerts.models import Silence
from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing
from core.recurrence import check_recurrence
from core.windows import Window

LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class SilenceTerms:
    """What a silence hides, when, and why. The span from `starts_at` to `ends_at` comes back by `recurrence`."""

    matchers: Sequence[Matcher]
    starts_at: datetime
    ends_at: datetime
    comment: str
    recurrence: str = ""
    recurs_until: datetime | None = None
    time_zone: str = "UTC"
    remind_before_seconds: int | None = None


@transaction.atomic
def create_silence(terms: SilenceTerms, *, by: str, now: datetime) -> Silence:
    """Make a silence. One that starts in the past starts now.

    Raises Invalid for one without a reason, without an end, of more than a year at a time, or that hides everything.
    """
    silence = _made(
        replace(terms, starts_at=max(terms.starts_at, now) if not terms.recurrence else terms.starts_at), now
    )
    silence.created_by, silence.created_at, silence.updated_at = by[:200], now, now
    silence.save(force_insert=True)
    audit.record("silence.created", silence, now=now, after=_facts(silence), reason=terms.comment)
    return silence


@transaction.atomic
def update_silence(key: UUID, terms: SilenceTerms, *, by: str, now: datetime) -> Silence:
    """Change a silence that is not over: its end, reason and reminder in place, anything else as a new silence.

    What is active is ended and made anew, so that the record of what was hidden when stays true. Raises Missing and
    Conflict (it is over), and Invalid as when it is made.
    """
    silence = _locked(key)
    if silence.expired_at is not None or silence.over_at <= now:
        raise Conflict("this silence is over; make another", code="silence_over")
    if silence.starts_at > now or _same_otherwise(silence, terms):
        return _changed_in_place(silence, terms, now)
    _end(silence, now, reason="replaced")
    return create_silence(terms, by=by, now=now)


@transaction.atomic
def expire_silence(key: UUID, *, now: datetime, reason: str = "") -> Silence:
    """End a silence now; one that is over already stays as it is. Raises Missing."""
    silence = _locked(key)
    if silence.expired_at is None and silence.over_at > now:
        _end(silence, now, reason=reason)
    return silence


def _locked(key: UUID) -> Silence:
    silence = Silence.objects.select_for_update().filter(pk=key).first()
    if silence is None:
        raise Missing("there is no such silence")
    return silence


def _end(silence: Silence, now: datetime, *, reason: str) -> None:
    silence.expired_at = silence.updated_at = now
    silence.save(update_fields=["expired_at", "updated_at"])
    audit.record("silence.expired", silence, now=now, reason=reason)


def _same_otherwise(silence: Silence, terms: SilenceTerms) -> bool:
    """Say whether the terms differ in the end, the reason and the reminder at most."""
    same_times = terms.recurrence == silence.recurrence and terms.time_zone == silence.time_zone
    starts = terms.starts_at <= silence.starts_at or not terms.recurrence
    if terms.recurrence and terms.ends_at - terms.starts_at != silence.ends_at - silence.starts_at:
        return False
    return same_times and starts and set(terms.matchers) == set(stored_matchers(silence.matchers))


def _changed_in_place(silence: Silence, terms: SilenceTerms, now: datetime) -> Silence:
    before = _facts(silence)
    start = silence.starts_at if silence.starts_at <= now else max(terms.starts_at, now)
    changed = _made(replace(terms, starts_at=start), now)
    for name in ("matchers", "starts_at", "ends_at", "recurrence", "recurs_until", "time_zone", "over_at", "comment"):
        setattr(silence, name, getattr(changed, name))
    silence.remind_before_seconds, silence.updated_at = changed.remind_before_seconds, now
    silence.reminded_at = None
    silence.save()
    audit.record("silence.changed", silence, now=now, before=before, after=_facts(silence), reason=terms.comment)
    return silence


def _made(terms: SilenceTerms, now: datetime) -> Silence:
    _require_sense(terms, now)
    window = Window(terms.starts_at, terms.ends_at)
    recurrence = check_recurrence(window, terms.recurrence, terms.recurs_until, terms.time_zone)
    if recurrence.end <= now:
        raise _invalid("/ends_at", "it would be over already")
    return Silence(
        matchers=as_json(terms.matchers),
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        recurrence=recurrence.rule,
        recurs_until=terms.recurs_until if recurrence.rule else None,
        time_zone=terms.time_zone,
        over_at=recurrence.end,
        comment=terms.comment.strip(),
        remind_before_seconds=terms.remind_before_seconds,
    )


def _require_sense(terms: SilenceTerms, now: datetime) -> None:
    if not terms.comment.strip() or len(terms.comment) > 1000:
        raise _invalid("/comment", "say why, in at most 1,000 characters")
    if not terms.matchers or matches_empty(terms.matchers):
        raise _invalid("/matchers", "at least one matcher must ask for a value: this would hide everything")
    if terms.ends_at <= terms.starts_at:
        raise _invalid("/ends_at", "it ends before it starts")
    if terms.ends_at - terms.starts_at > LONGEST:
        raise _invalid("/ends_at", "a silence lasts at most a year; let it come back by a rule instead")
    if terms.ends_at <= now and not terms.recurrence:
        raise _invalid("/ends_at", "it would be over already")
    try:
        ZoneInfo(terms.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise _invalid("/time_zone", "this is no time zone, such as Europe/Paris") from error


def _facts(silence: Silence) -> dict[str, object]:
    names = ("starts_at", "ends_at", "recurrence", "recurs_until", "time_zone", "comment", "created_by")
    matchers = [str(matcher) for matcher in stored_matchers(silence.matchers)]
    return {"matchers": matchers, **{name: getattr(silence, name) for name in names}}


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_silence", errors=[FieldError(pointer, "invalid_silence", detail)])
