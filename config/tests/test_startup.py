"""What a web process has imported before its first request: everything it serves, and nothing that only few need."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.tests.processes import copy, environment, shell

pytestmark = pytest.mark.processes

# For figures, price imports, spans in protobuf, the API's document, spreadsheets, demonstrations, and `manage.py up`.
ON_DEMAND = ("scipy", "numpy", "genai_prices", "google.protobuf", "drf_spectacular.generators", "xlsxwriter",
    "costs.demo.load", "gunicorn")  # fmt: skip


def _loaded(modules: tuple[str, ...], env: dict[str, str]) -> str:
    return shell(f"import sys, config.wsgi; print(*[name for name in {modules} if name in sys.modules])", env)


def test_start__web_process__has_imported_every_view(tmp_path: Path, prepared: Path) -> None:
    views = ("core.api.root", "costs.api.otlp", "costs.api.recording", "costs.admin.reservations")

    assert _loaded(views, environment(copy(prepared, tmp_path))) == " ".join(views)


def test_start__web_process__leaves_what_few_need(tmp_path: Path, prepared: Path) -> None:
    assert _loaded(ON_DEMAND, environment(copy(prepared, tmp_path))) == ""


def test_start__sqlite__does_without_the_driver_of_postgresql(tmp_path: Path, prepared: Path) -> None:
    assert _loaded(("psycopg", "psycopg_pool"), environment(copy(prepared, tmp_path))) == ""


def test_start__every_app_ready__the_cycle_collector_runs(tmp_path: Path) -> None:
    told = shell("import gc; print(gc.isenabled(), gc.get_freeze_count() > 100_000)", environment(tmp_path))

    assert told == "True True"
