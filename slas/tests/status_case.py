"""A published status page with one component that is measured and one that is not, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from slas.models import Sli, Slo, SloSnapshot, StatusComponent, StatusPage
from slas.tests.contract_case import EARLY, indicator, minute


def status_page(now: datetime, *, published: bool = True, main: bool = True, slug: str = "acme") -> StatusPage:
    """Make a page: "API" with traffic, snapshots of two days and ten good minutes; "Website" without an objective."""
    sli = indicator()
    slo = objective(sli)
    page = StatusPage.objects.create(
        slug=slug, title="Acme status", description="How we do.", time_zone="UTC", main=main,
        published_at=now if published else None, created_at=EARLY,
    )  # fmt: skip
    StatusComponent.objects.create(page=page, slug="api", name="API", slo=slo, position=1)
    StatusComponent.objects.create(page=page, slug="web", name="Website", position=2, section="Sites")
    for back, good in ((1, 1000), (2, 400)):
        day = (now - timedelta(days=back)).date()
        SloSnapshot.objects.create(slo=slo, day=day, good=good, total=1000, sli=Decimal(good) / 1000, state="healthy",
                                   target=slo.target, revision=1, taken_at=now)  # fmt: skip
    minute(sli, now - timedelta(minutes=3), good=100)
    return page


def objective(sli: Sli) -> Slo:
    """Make an objective of 99.9 %."""
    return Slo.objects.create(
        service=sli.service, sli=sli, slug="secret-objective", name="Secret objective", target=Decimal("0.999"),
        time_zone="UTC", created_at=EARLY,
    )  # fmt: skip
