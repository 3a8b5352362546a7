"""A customer's contract over a service of one indicator, with traffic, for tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from slas.buckets import Aggregate, record_events
from slas.choices import NoDataPolicy, SliKind
from slas.credits import ContractTerms, Tier
from slas.models import Customer, Exclusion, Service, SLAContract, SLAPeriod, Sli
from slas.services.contracts import ContractDraft, create_contract

EARLY = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
TIERS = (Tier(Decimal("99.9"), Decimal(10)), Tier(Decimal(99), Decimal(25)), Tier(Decimal(95), Decimal(50)))


def indicator(no_data: str = NoDataPolicy.GOOD, **values: Any) -> Sli:
    """Make a service with one indicator of good and bad requests; events may come two days late."""
    service = Service.objects.create(slug=f"api-{uuid.uuid4().hex[:8]}", name="Agent API", created_at=EARLY)
    return Sli.objects.create(
        service=service, slug="requests", name="Requests", kind=SliKind.RATIO, no_data=no_data, created_at=EARLY,
        **values,
    )  # fmt: skip


def customer(name: str = "Acme") -> Customer:
    """Make a customer of its own."""
    slug = f"{name.lower()}-{uuid.uuid4().hex[:8]}"
    return Customer.objects.create(slug=slug, name=name, contact_email="ops@acme.example", created_at=EARLY)


def terms(**values: Any) -> ContractTerms:
    """Return usual terms: 1,000 USD a period, credits below 99.9, 99 and 95 %, no notice asked for."""
    usual: dict[str, Any] = {"fee": Decimal(1000), "tiers": TIERS, "notice_hours": 0}
    return ContractTerms(**(usual | values))


def contract(
    sli: Sli | None = None,
    *,
    starts_on: date = date(2026, 3, 1),
    time_zone: str = "UTC",
    period_unit: str = "month",
    now: datetime = EARLY,
    **values: Any,
) -> SLAContract:
    """Make a contract of a customer of its own."""
    draft = ContractDraft(
        customer=customer(), sli=sli or indicator(), name="Gold", time_zone=time_zone, starts_on=starts_on,
        period_unit=period_unit, terms=terms(**values),
    )  # fmt: skip
    return create_contract(draft, now=now)


def minute(sli: Sli, at: datetime, *, good: int = 0, bad: int = 0) -> None:
    """Record the requests of one minute, as if they came in time."""
    record_events(sli, [Aggregate(at, good=good, total=good + bad)], now=at + timedelta(minutes=1))


def outage(sli: Sli, start: datetime, minutes: int, *, bad: int = 10, good: int = 0) -> None:
    """Record minutes in a row in which requests failed."""
    record(sli, ((start + timedelta(minutes=number), good, bad) for number in range(minutes)))


def record(sli: Sli, rows: Iterable[tuple[datetime, int, int]]) -> None:
    """Record (minute, good, bad) in one batch, in time."""
    items = [Aggregate(at, good=good, total=good + bad) for at, good, bad in rows]
    record_events(sli, items, now=max(item.at for item in items) + timedelta(minutes=1))


def exclude(sli: Sli, start: datetime, end: datetime, **values: Any) -> Exclusion:
    """Make an approved exclusion of the indicator's service, announced a week ahead."""
    usual: dict[str, Any] = {
        "service": sli.service, "category": "planned", "applies_to": "both", "reason": "database upgrade",
        "announced_at": start - timedelta(days=7), "created_at": start - timedelta(days=7), "approved_by": "maria",
    }  # fmt: skip
    return Exclusion.objects.create(starts_at=start, ends_at=end, **(usual | values))


def only_period(made: SLAContract) -> SLAPeriod:
    """Return the first period of a contract."""
    return made.periods.order_by("start")[0]
