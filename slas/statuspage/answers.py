"""The forms in which a status page leaves the house: JSON, RSS and badges. No database."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from html import escape
from typing import Any

from slas.choices import Impact
from slas.statuspage.reading import Shown, ShownIncident

# Fill and text pass WCAG AA together.
BADGE_COLOURS = {
    Impact.NO_DATA: "#5c5c66",
    Impact.OPERATIONAL: "#1a7f37",
    Impact.MAINTENANCE: "#0b5cad",
    Impact.DEGRADED: "#8a5a00",
    Impact.PARTIAL: "#b3410e",
    Impact.MAJOR: "#b42318",
}
GLYPH = 6.6


def as_json(shown: Shown, address: str) -> dict[str, Any]:
    """Return the page for programs."""
    return {
        "page": {
            "slug": shown.slug,
            "title": shown.title,
            "description": shown.description,
            "time_zone": shown.time_zone,
            "url": address,
        },
        "as_of": _time(shown.as_of),
        "status": {"state": shown.state, "summary": shown.summary},
        "components": [
            {
                "slug": item.slug,
                "name": item.name,
                "description": item.description,
                "section": item.section,
                "state": item.state,
                "uptime": item.uptime,
                "days": [{"day": bar.day.isoformat(), "state": bar.tone, "text": bar.text} for bar in item.bars],
            }
            for item in shown.components
        ],
        "incidents": [_incident(item) for item in (*shown.open_incidents, *shown.past_incidents)],
        "maintenance": [
            {
                "title": item.title,
                "text": item.text,
                "starts_at": _time(item.start),
                "ends_at": _time(item.end),
                "components": list(item.components),
                "running": item.running,
            }
            for item in shown.maintenance
        ],
    }


def as_rss(shown: Shown, address: str) -> str:
    """Return the incidents as RSS 2.0: one item per update, the newest first."""
    items = sorted(
        (
            (update.at, incident, update)
            for incident in (*shown.open_incidents, *shown.past_incidents)
            for update in incident.updates
        ),
        key=lambda item: item[0],
        reverse=True,
    )
    entries = "".join(
        f"<item><title>{escape(f'{incident.title}: {update.label}')}</title>"
        f"<link>{escape(f'{address}#incident-{incident.key}')}</link>"
        f'<guid isPermaLink="false">{incident.key}-{int(at.timestamp())}-{update.stage}</guid>'
        f"<pubDate>{format_datetime(at)}</pubDate>"
        f"<description>{escape(_clean(update.text))}</description></item>"
        for at, incident, update in items
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
        f"<title>{escape(shown.title)}</title><link>{escape(address)}</link>"
        f'<atom:link href="{escape(address)}/feed.xml" rel="self" type="application/rss+xml"/>'
        f"<description>{escape(shown.description or shown.summary)}</description>{entries}</channel></rss>\n"
    )


def badge(label: str, state: str) -> str:
    """Return an SVG that says how something does, in words and not by its colour alone."""
    value = Impact(state).label
    left, right = (round(len(text) * GLYPH + 14) for text in (label, value))
    name, word = escape(label), escape(value)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"'
        f' aria-label="{name}: {word}"><title>{name}: {word}</title>'
        f'<rect width="{left + right}" height="20" rx="3" fill="#33333b"/>'
        f'<rect x="{left}" width="{right}" height="20" rx="3" fill="{BADGE_COLOURS[Impact(state)]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{name}</text><text x="{left + right / 2:g}" y="14">{word}</text></g></svg>\n'
    )


def _incident(item: ShownIncident) -> dict[str, Any]:
    return {
        "id": item.key,
        "title": item.title,
        "impact": item.impact,
        "stage": item.stage,
        "started_at": _time(item.started_at),
        "resolved_at": _time(item.resolved_at) if item.resolved_at else None,
        "components": list(item.components),
        "updates": [{"stage": one.stage, "text": one.text, "at": _time(one.at)} for one in item.updates],
    }


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _clean(text: str) -> str:
    """Leave out control characters, which XML 1.0 cannot hold."""
    return "".join(character for character in text if character >= " " or character in "\n\t\r")
