"""What the home page shows of objectives: how many stand how, and the ones with the least budget left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.urls import reverse

from core.ports.panels import Chart, Figure, Table
from slas.choices import SloState
from slas.models import PolicyStepFiring, SloStatus
from slas.services.policies import HOLDING

SHOWN = 5


def objectives_panel(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return figures and the objectives with the least budget left; nothing when there are no objectives."""
    rows = SloStatus.objects.filter(slo__enabled=True).select_related("slo__service")
    states = Counter(rows.values_list("state", flat=True))
    if not states:
        return []
    board = reverse("admin:slas_board")
    exhausted, burning = states[SloState.EXHAUSTED], states[SloState.BURNING]
    frozen = PolicyStepFiring.objects.filter(action__in=HOLDING, ended_at=None).count()
    worst = rows.exclude(consumed=None).order_by("-consumed", "slo")[:SHOWN]
    cells = [((str(row.slo), _left(row), row.get_state_display()), reverse("admin:slas_slo_change", args=[row.slo_id]))
             for row in worst]  # fmt: skip
    return [
        Figure("Objectives", f"{sum(states.values())}", f"{states[SloState.NO_DATA]} without data", board),
        Figure("Burning too fast", f"{burning}", "", f"{board}?state=burning", "warning" if burning else "good"),
        Figure("Budget exhausted", f"{exhausted}", "", f"{board}?state=exhausted", "bad" if exhausted else "good"),
        Figure("Changes stopped", f"{frozen}", "by budget policies", tone="warning" if frozen else "neutral"),
        Table("Least error budget left", ("Objective", "Budget left", "State"), cells, board),
    ]


def _left(row: SloStatus) -> str:
    return "–" if row.consumed is None else f"{1 - row.consumed:.1%}"
