"""The home page: what every app offers on the port `panels`, as far as the person may see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from config.firststeps import first_steps
from core.context import current
from core.ports.panels import Chart, Figure, Panel, Table, panels
from costs.demo.load import is_loaded as demo_is_loaded

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShownPanel:
    """One panel ready for the template: its figures as cards, everything else below them."""

    key: str
    title: str
    empty: str
    failed: bool = False
    figures: tuple[Figure, ...] = ()
    items: tuple[Chart | Table, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing worth showing."""
        return not self.figures and not self.items


@dataclass(slots=True)
class Section:
    """The panels of one app."""

    title: str
    panels: list[ShownPanel] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        """The figures of all panels, which stand in one row of cards."""
        return [figure for panel in self.panels for figure in panel.figures]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the context of the home page; a panel that fails shows so and takes nothing else down."""
    now = timezone.now()
    return {
        **context,
        "as_of": timezone.localtime(now),
        "time_zone": settings.ORGANISATION_TIME_ZONE,
        "base_currency": settings.BASE_CURRENCY,
        "request_id": current().request_id,
        "sections": sections(visible_panels(request.user), now),
        "first_steps": first_steps(request, now),
        "demo": request.user.has_perm("costs.view_costevent") and demo_is_loaded(),
    }


def visible_panels(user: Any) -> list[Panel]:
    """Return the panels whose permission the person has, and whose groups, when it names any, include theirs."""
    permitted = [panel for panel in panels if user.has_perm(panel.permission)]
    if any(panel.groups for panel in permitted) and not user.is_superuser:
        groups = set(user.groups.values_list("name", flat=True))
        permitted = [panel for panel in permitted if not panel.groups or groups & set(panel.groups)]
    return sorted(permitted, key=lambda panel: (panel.order, panel.key))


def sections(offered: Iterable[Panel], now: datetime) -> list[Section]:
    """Return the built panels under their apps, in the order of each app's first panel."""
    found: dict[str, Section] = {}
    for panel in offered:
        title = _app_title(panel.key)
        found.setdefault(title, Section(title)).panels.append(build(panel, now))
    return list(found.values())


def build(panel: Panel, now: datetime) -> ShownPanel:
    """Return one panel, built inside a savepoint of its own."""
    try:
        with transaction.atomic():
            items: Sequence[Figure | Chart | Table] = tuple(panel.build(now))
    except Exception:  # whatever goes wrong in one panel is logged and shown in its place
        log.exception("panel failed", panel=panel.key)
        return ShownPanel(panel.key, panel.title, panel.empty, failed=True)
    return ShownPanel(
        panel.key,
        panel.title,
        panel.empty,
        figures=tuple(item for item in items if isinstance(item, Figure)),
        items=tuple(item for item in items if not isinstance(item, Figure)),
    )


def _app_title(key: str) -> str:
    label = key.partition(".")[0]
    return str(apps.get_app_config(label).verbose_name) if label in apps.app_configs else label.capitalize()
