"""Heartbeats: outside systems say that they are at work, and are missed when they stop."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Coalesce, Greatest

from alerts.models import Heartbeat
from core import audit
from core.errors import FieldError, Invalid, Missing


def beat(name: str, *, now: datetime) -> Heartbeat:
    """Note that a system was heard of, in one UPDATE. Raises Missing for a heartbeat that nobody made."""
    instant = Value(now, DateTimeField())
    # Beats that overtake one another never make a heartbeat older.
    changed = Heartbeat.objects.filter(name=name).update(
        last_beat_at=Greatest(Coalesce("last_beat_at", instant), instant), beats=F("beats") + 1
    )
    if not changed:
        raise Missing(f"There is no heartbeat {name!r}; make it first.")
    return Heartbeat.objects.get(name=name)


def create_heartbeat(name: str, description: str = "", *, now: datetime) -> Heartbeat:
    """Make a heartbeat that is missed once it has beaten and stops. Raises Invalid."""
    _check(name, description)
    with transaction.atomic():
        if Heartbeat.objects.filter(name=name).exists():
            raise Invalid(
                f"There is a heartbeat {name} already.", errors=[FieldError("/name", "taken", "It is taken.")]
            )
        heartbeat = Heartbeat.objects.create(name=name, description=description, created_at=now)
        audit.record("heartbeat.created", heartbeat, now=now, after={"name": name, "description": description})
    return heartbeat


def change_heartbeat(name: str, description: str, *, now: datetime) -> Heartbeat:
    """Change what is said of a heartbeat; its name stays, systems beat by it. Raises Missing and Invalid."""
    _check(name, description)
    with transaction.atomic():
        heartbeat = _locked(name)
        if heartbeat.description != description:
            audit.record(
                "heartbeat.changed", heartbeat, now=now, before={"description": heartbeat.description},
                after={"description": description},
            )  # fmt: skip
            heartbeat.description = description
            heartbeat.save(update_fields=["description"])
    return heartbeat


def delete_heartbeat(name: str, *, now: datetime) -> None:
    """Delete a heartbeat; it is missed no longer. Raises Missing."""
    with transaction.atomic():
        heartbeat = _locked(name)
        audit.record("heartbeat.deleted", heartbeat, now=now, before={"name": name, "beats": heartbeat.beats})
        heartbeat.delete()


def _locked(name: str) -> Heartbeat:
    heartbeat = Heartbeat.objects.select_for_update().filter(name=name).first()
    if heartbeat is None:
        raise Missing("There is no such heartbeat.")
    return heartbeat


def _check(name: str, description: str) -> None:
    mistakes = []
    try:
        validate_slug(name)
    except ValidationError:
        mistakes.append(FieldError("/name", "pattern", "A name has letters, digits, - and _."))
    if not 0 < len(name) <= 100:
        mistakes.append(FieldError("/name", "length", "A name has 1 to 100 characters."))
    if len(description) > 300:
        mistakes.append(FieldError("/description", "max_length", "A description has at most 300 characters."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)
