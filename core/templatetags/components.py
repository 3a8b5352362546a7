"""The building blocks of pages: figures, charts, tables, progress, empty states. Load with {% load components %}."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from core.context import current
from core.ids import uuid7
from core.ports.panels import Chart, Figure, Table

register = template.Library()


@register.inclusion_tag("components/figures.html")
def figures(items: Sequence[Figure]) -> dict[str, Any]:
    """Show figures as cards; a figure with a link leads to its rows."""
    return {"figures": items}


@register.inclusion_tag("components/chart.html")
def chart(item: Chart, height: int = 280) -> dict[str, Any]:
    """Show a chart with its numbers in a table under it; a click on a point drills to its rows."""
    rows = [
        [label, *(series.values[index] if index < len(series.values) else None for series in item.series)]
        for index, label in enumerate(item.labels)
    ]
    config = {
        "kind": item.kind,
        "labels": list(item.labels),
        "series": [{"label": series.label, "values": list(series.values)} for series in item.series],
        "unit": item.unit,
        "drill": item.drill,
    }
    drills = [item.drill.replace("{label}", str(row[0])) for row in rows] if item.drill else [""] * len(rows)
    has_data = any(value for series in item.series for value in series.values)
    return {
        "chart": item,
        "config": config,
        "rows": list(zip(rows, drills, strict=True)),
        "key": f"chart-{uuid7().hex[-12:]}",
        "height": height,
        "has_data": has_data,
    }


@register.inclusion_tag("components/table.html")
def data_table(item: Table) -> dict[str, Any]:
    """Show a short table; a row with an address leads there."""
    return {"table": item}


@register.inclusion_tag("components/progress.html")
def progress_bar(
    spent: Decimal | float, limit: Decimal | float, label: str = "", reserved: Decimal | float = 0
) -> dict[str, Any]:
    """Show how much of a limit is used and set aside; the words say it too, not the colour alone."""
    whole = float(limit)
    used = float(spent) / whole if whole > 0 else (0.0 if not spent else math.inf)
    held = float(reserved) / whole if whole > 0 else 0.0
    tone = "bad" if used >= 1 else "warning" if used + held >= 0.8 else "good"
    shown = min(used, 1.0) * 100
    return {
        "label": label or "Used",
        "percent": f"{used:.1%}" if math.isfinite(used) else "over",
        "width": f"{max(shown, 0):.1f}",
        "held_width": f"{max(min(held * 100, 100 - shown), 0):.1f}",
        "now": round(shown),
        "tone": tone,
    }


@register.inclusion_tag("components/empty_state.html")
def empty_state(title: str, **shown: str) -> dict[str, Any]:
    """Show what to do where there is nothing yet: text, icon, step, link, snippet, each optional."""
    return {"text": "", "icon": "inbox", "step": "", "link": "", "snippet": "", **shown, "title": title}


@register.inclusion_tag("components/snippet.html")
def snippet(code: str, title: str = "Command") -> dict[str, Any]:
    """Show text to copy, with a button that copies it."""
    return {"code": code, "title": title}


@register.inclusion_tag("components/job_progress.html")
def job_progress(job: Any, address: str) -> dict[str, Any]:
    """Show a job's progress; while it runs, the fragment asks `address` for itself again."""
    return {"job": job, "address": address, "live": job.status in {"queued", "running"}}


@register.simple_tag
def request_id() -> str:
    """Return the id of this request, by which its lines in the log are found."""
    return current().request_id


@register.simple_tag
def panel_item(item: Any) -> SafeString:
    """Show one item of a panel by its kind."""
    if isinstance(item, Chart):
        return mark_safe(_render("components/chart.html", chart(item)))  # noqa: S308  # rendered by a template
    if isinstance(item, Table):
        return mark_safe(_render("components/table.html", data_table(item)))  # noqa: S308  # rendered by a template
    return mark_safe(_render("components/figures.html", figures([item])))  # noqa: S308  # rendered by a template


def _render(name: str, context: dict[str, Any]) -> str:
    return str(render_to_string(name, context))


@register.filter
def kind_of(item: Any) -> str:
    """Return "figure", "chart" or "table"."""
    return type(item).__name__.lower()
