"""Signs of life: which parts of the platform were at work, and when."""

from __future__ import annotations

from datetime import datetime

from core.models import Pulse


def beat(name: str, *, now: datetime, detail: str = "") -> None:
    """Write that this part is at work."""
    Pulse.objects.update_or_create(name=name, defaults={"at": now, "detail": detail[:200]})


def last_beat(name: str) -> datetime | None:
    """Return when this part was last at work, or None when it never was."""
    return Pulse.objects.filter(name=name).values_list("at", flat=True).first()
