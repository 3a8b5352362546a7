"""Asks what the dashboard asks, by the reader and by raw SQL, and prints the seconds of each as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import django

# The best of many: a question takes milliseconds, which anything else on the machine may double.
REPEATS, RAW_REPEATS = 25, 3
RAW = {
    "day by cost type": "SELECT {day}, cost_type, {sum} FROM costs_costevent WHERE {window} GROUP BY 1, 2",
    "top entities": "SELECT entity_id, {sum} FROM costs_costevent WHERE {window} GROUP BY 1",
    "day by model": "SELECT {day}, model, {sum} FROM costs_costevent WHERE {window} GROUP BY 1, 2",
}
DIALECT = {
    "postgresql": {"day": "date_trunc('day', occurred_at)", "sum": "sum(base_amount)"},
    "sqlite": {"day": "substr(occurred_at, 1, 10)", "sum": "money_sum(base_amount)"},
}


def main() -> None:
    """Print {"ours": {name: seconds}, "raw": {…}}."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection
    from django.utils import timezone

    from core.windows import Window
    from costs import reader

    zone = reader.organisation_zone()
    end = timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    window = Window(end - timedelta(days=30), end)
    groups = {"day by cost type": ("day", "cost_type"), "top entities": ("entity",), "day by model": ("day", "model")}
    ours = {
        name: _best(partial(reader.ask, reader.Question(window=window, group_by=by)), REPEATS)
        for name, by in groups.items()
    }
    raw = {name: _best(partial(_fetch, connection, sql, window), RAW_REPEATS) for name, sql in RAW.items()}
    print(json.dumps({"ours": ours, "raw": raw}))


def _best(question: Callable[[], object], repeats: int) -> float:
    question()
    return min(_seconds(question) for _ in range(repeats))


def _seconds(question: Callable[[], object]) -> float:
    start = time.perf_counter()
    question()
    return time.perf_counter() - start


def _fetch(connection: object, sql: str, window: object) -> object:
    text = sql.format(**DIALECT[connection.vendor], window="occurred_at >= %s AND occurred_at < %s")  # type: ignore[attr-defined]
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(text, [window.start, window.end])  # type: ignore[attr-defined]
        return cursor.fetchall()


if __name__ == "__main__":
    main()
