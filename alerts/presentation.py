"""How alerts are written in one line for people to read."""

from __future__ import annotations

from collections.abc import Mapping

LABELS_IN_A_ROW = 4


def labels_text(labels: Mapping[str, str]) -> str:
    """Return the first labels but the name and severity, for a row of a list."""
    shown = [f"{name}={value}" for name, value in sorted(labels.items()) if name not in {"alertname", "severity"}]
    more = len(shown) - LABELS_IN_A_ROW
    text = ", ".join(item if len(item) <= 60 else item[:59] + "…" for item in shown[:LABELS_IN_A_ROW])
    return f"{text}, and {more} more" if more > 0 else text or "–"
