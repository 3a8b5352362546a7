"""On-call turns as calendars: iCalendar (RFC 5545) files, and the secret addresses that programs read them from."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from alerts import rotations
from alerts.models import CalendarFeed, OnCallSchedule
from alerts.rotations import Segment
from alerts.services import oncall
from core import audit
from core.errors import Missing
from core.windows import Window

BEFORE, AFTER = timedelta(days=30), timedelta(days=120)
# What is read often need not write each time.
READ_NOTED_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class NewFeed:
    """A feed just made, with the token of its address: the only time it is readable."""

    feed: CalendarFeed
    token: str


def new_feed(user: User, schedule: OnCallSchedule | None, *, now: datetime) -> NewFeed:
    """Give a person a secret address for a schedule, or for their own turns in all of them; the one before ends."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        CalendarFeed.objects.filter(user=user, schedule=schedule).delete()
        feed = CalendarFeed.objects.create(user=user, schedule=schedule, digest=_digest(token), created_at=now)
        audit.record(
            "calendarfeed.added", feed, now=now, after={"user": user.get_username(), "schedule": str(schedule)}
        )
    return NewFeed(feed, token)


def end_feed(user: User, feed_id: int, *, now: datetime) -> None:
    """End one's own secret address. Raises Missing."""
    with transaction.atomic():
        feed = CalendarFeed.objects.filter(user=user, pk=feed_id).first()
        if feed is None:
            raise Missing("There is no such calendar address.")
        audit.record("calendarfeed.deleted", feed, now=now, before={"user": user.get_username()})
        feed.delete()


def read_feed(token: str, *, now: datetime) -> bytes | None:
    """Return the calendar behind a token, or None for one that opens nothing or whose owner's account is inactive."""
    feed = (
        CalendarFeed.objects.select_related("user", "schedule")
        .filter(digest=_digest(token), user__is_active=True)
        .first()
    )
    if feed is None:
        return None
    if feed.last_read_at is None or now - feed.last_read_at >= READ_NOTED_EVERY:
        CalendarFeed.objects.filter(pk=feed.pk).update(last_read_at=now)
    return calendar_of(feed.schedule, now=now) if feed.schedule else calendar_of_person(feed.user, now=now)


def calendar_of(schedule: OnCallSchedule, *, now: datetime) -> bytes:
    """Return a schedule's turns, from a month ago to four months ahead."""
    turns = [(schedule, segment) for segment in oncall.final(schedule, Window(now - BEFORE, now + AFTER))]
    return _written(f"On call: {schedule.name}", turns, now)


def calendar_of_person(user: User, *, now: datetime) -> bytes:
    """Return one person's turns in all schedules, from a month ago to four months ahead."""
    window = Window(now - BEFORE, now + AFTER)
    schedules = list(OnCallSchedule.objects.order_by("name", "pk"))
    plans = oncall.plans_of(schedules, window)
    turns = [
        (schedule, segment)
        for schedule in schedules
        for segment in rotations.segments(plans[schedule.pk], window)
        if segment.person is not None and segment.person.key == str(user.pk)
    ]
    return _written(f"On call: {user.get_full_name() or user.get_username()}", turns, now)


def _written(title: str, turns: Iterable[tuple[OnCallSchedule, Segment]], now: datetime) -> bytes:
    from icalendar import Calendar, Event  # half a second that only calendars pay for

    calendar = Calendar()
    calendar.add("prodid", "-//Agent Factory//On-call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", title)
    for schedule, segment in turns:
        if segment.person is None:
            continue
        event = Event()
        # A turn keeps its name from one reading to the next, so that programs move it instead of doubling it.
        event.add("uid", f"{schedule.pk}-{segment.start:%Y%m%dT%H%M%SZ}-{segment.person.key}@agent-factory")
        event.add("dtstamp", now)
        event.add("dtstart", segment.start)
        event.add("dtend", segment.end)
        event.add("summary", f"{segment.person.name} on call: {schedule.name}")
        if settings.PUBLIC_URL:
            event.add("url", f"{settings.PUBLIC_URL}/admin/alerts/oncallschedule/{schedule.pk}/change/")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
