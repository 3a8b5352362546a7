"""Services, indicators and objectives for tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from slas.models import Service, Sli, Slo

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def fresh(prefix: str) -> str:
    """Return a name that nothing has yet."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def service(**changes: Any) -> Service:
    """Make a service."""
    return Service.objects.create(**{"slug": fresh("service"), "name": "Answers", "created_at": EPOCH, **changes})


def sli(kind: str = "ratio", **changes: Any) -> Sli:
    """Make an indicator, with a service of its own unless one is given."""
    values = {"slug": fresh("sli"), "name": "Success", "kind": kind, "created_at": EPOCH, **changes}
    return Sli.objects.create(**{"service": changes.get("service") or service(), **values})


def slo(indicator: Sli | None = None, target: str = "0.999", **changes: Any) -> Slo:
    """Make an objective over 30 rolling days."""
    indicator = indicator or sli()
    values = {"slug": fresh("slo"), "name": "Success", "time_zone": "UTC", "created_at": EPOCH, **changes}
    return Slo.objects.create(service=indicator.service, sli=indicator, target=Decimal(target), **values)
