"""`python -m benchmarks [--db sqlite|postgresql|both] [--only ingest,…] [--check]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    admin_lists,
    alerts_intake,
    alerts_outbox,
    alerts_sweep,
    budgets,
    dashboards,
    ingest,
    slo,
    startup,
)
from benchmarks.harness import Line

AREAS: dict[str, Callable[[str], list[Line]]] = {
    "ingest": ingest.run,
    "budgets": budgets.run,
    "dashboards": dashboards.run,
    "admin": admin_lists.run,
    "alert-sweep": alerts_sweep.run,
    "alert-outbox": alerts_outbox.run,
    "alert-intake": alerts_intake.run,
    "slo": slo.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benchmarks, print their ratios, and with --check fail when one misses its goal by a quarter."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--db", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join([*AREAS, 'startup'])}")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed by more than 25 percent")
    options = parser.parse_args(arguments)
    chosen = [name for name in options.only.split(",") if name] or [*AREAS, "startup"]
    kinds = ("sqlite", "postgresql") if options.db == "both" else (options.db,)
    machine = f"{platform.machine()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    lines = [line for name in chosen for line in _area(name, kinds)]
    if options.json:
        options.json.write_text(json.dumps([_plain(line) for line in lines], indent=1))
    return int(options.check and any(_far(line) for line in lines))


def _area(name: str, kinds: Sequence[str]) -> list[Line]:
    print(f"\n{name}", flush=True)
    if name == "startup":
        return startup.run()
    return [line for kind in kinds for line in AREAS[name](kind)]


def _far(line: Line) -> bool:
    if line.goal is None:
        return False
    return line.ratio > 1.25 * line.goal if line.at_most else line.ratio < 0.75 * line.goal


def _plain(line: Line) -> dict[str, object]:
    return {
        "name": line.name,
        "reference": line.reference,
        "ratio": line.ratio,
        "ratios": line.ratios,
        "goal": line.goal,
    }


if __name__ == "__main__":
    sys.exit(main())
