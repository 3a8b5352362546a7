"""The board and the pages of objectives in a real browser, in light, dark and narrow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from core.tests.people import administrator
from slas import buckets
from slas.buckets import Aggregate, Event
from slas.models import Exclusion, Slo
from slas.services.evaluating import evaluate
from slas.services.snapshots import take_snapshots
from slas.tests.objectives import service, sli, slo
from slas.tests.rows_objectives import policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LOOKS = ["light", "dark", "narrow"]


def made() -> Slo:
    """Make three objectives that stand differently, with a month of history, an exclusion and a policy that acted."""
    now = timezone.now().replace(second=0, microsecond=0)
    agent = service(name="Support agent", slug="support-agent")
    latency: dict[str, Any] = {"kind": "latency", "operator": "lte", "threshold": Decimal(2000)}
    plain: dict[str, Any] = {}
    good, bad, slow = (
        sli(service=agent, name=name, slug=name.lower().replace(" ", "-"), lateness_seconds=40 * 86_400, **more)
        for name, more in (("Task success", plain), ("Tool calls", plain), ("Latency", latency))
    )  # fmt: skip
    created = now - timedelta(days=20)
    Exclusion.objects.create(
        service=agent, starts_at=now - timedelta(days=4), ends_at=now - timedelta(days=4, hours=-6), category="planned",
        reason="Model upgrade", created_at=created, approved_by="otto",
    )  # fmt: skip
    for indicator, share in ((good, 999), (bad, 960)):
        items = [Aggregate(now - timedelta(hours=n), 1000 if n > 30 else share, 1000) for n in range(1, 480)]
        buckets.record_events(indicator, items, now=now)
    buckets.record_events(slow, [Event(now - timedelta(minutes=5), value=Decimal(900 + n)) for n in range(50)], now=now)
    stands = slo(good, "0.995", name="Task success", created_at=created)
    spent = slo(bad, "0.999", name="Tool calls", created_at=created, policy=policy(("0.5", "notify"), ("1", "freeze")))
    slo(slow, "0.95", name="Latency")
    slo(sli(service=agent, name="Hand-offs"), "0.9", name="Hand-offs")
    evaluate(now)
    take_snapshots(now=now)
    assert stands.pk != spent.pk
    return spent


def _no_sideways(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("page", LOOKS, indirect=True)
def test_pages__of_objectives__are_accessible_and_fit(
    page: Any, sign_in: Callable[..., None], accessible: Callable[[], list[str]], tmp_path: Path
) -> None:
    sign_in(administrator())
    objective = made()
    addresses = {
        "board": "/admin/slas/board/",
        "board-filtered": "/admin/slas/board/?state=burning",
        "objective": f"/admin/slas/slo/{objective.pk}/change/",
        "objectives": "/admin/slas/slo/",
        "indicator": f"/admin/slas/sli/{objective.sli_id}/change/",
        "indicator-new": "/admin/slas/sli/add/?kind=latency",
        "exclusions": "/admin/slas/exclusion/",
        "exclusion-new": "/admin/slas/exclusion/add/",
        "policy-new": "/admin/slas/budgetpolicy/add/",
    }

    for name, address in addresses.items():
        page.goto(address)
        page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)
        assert accessible() == [], address
        assert _no_sideways(page), address


def test_board__without_objectives__shows_the_first_step_with_its_command(page: Any, sign_in: Any) -> None:
    sign_in(administrator())

    page.goto("/admin/slas/board/")

    assert page.get_by_role("heading", name="No objectives yet").is_visible()
    assert "curl -X POST" in page.content()


def test_form__of_an_indicator_of_durations__asks_for_its_threshold(page: Any, sign_in: Any) -> None:
    sign_in(administrator())
    made = service(name="Answers", slug="answers")

    page.goto(f"/admin/slas/sli/add/?kind=latency&service={made.pk}")
    page.locator("#id_slug").fill("speed")
    page.locator("#id_name").fill("Speed")
    page.get_by_role("button", name="Save", exact=True).click()

    page.get_by_text("an indicator of values needs a threshold").wait_for()
