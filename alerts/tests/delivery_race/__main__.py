"""The long race: `python -m alerts.tests.delivery_race --kills 50 [--deliverers 3] [--writers 2] [--seed 1]`.

Runs on a database of its own: on the PostgreSQL server that DATABASE_URL names, or on SQLite. Prints the figures, and
ends with 1 when anything was lost, torn or overtaken.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[3]
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def main() -> int:
    """Make the database, run the race on it, and take it away again."""
    parser = argparse.ArgumentParser(prog="python -m alerts.tests.delivery_race", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--deliverers", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    server, _, _ = os.environ.get("DATABASE_URL", "").rpartition("/")
    name = f"delivery_race_{uuid.uuid4().hex[:12]}"
    if server:
        _command(f"{server}/postgres", f"CREATE DATABASE {name}")
    try:
        with tempfile.TemporaryDirectory(prefix="delivery-race-") as folder:
            return _run(Path(folder), f"{server}/{name}" if server else f"sqlite:///{folder}/race.sqlite3", options)
    finally:
        if server:
            _command(f"{server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


def _run(folder: Path, url: str, options: argparse.Namespace) -> int:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = {"ENV_FILE": os.devnull, "DATA_DIR": str(folder / "data"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    env = {**kept, **ours, "DATABASE_URL": url, "LOG_LEVEL": "ERROR"}
    os.environ.clear()
    os.environ.update(env)
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=env, check=True)
    import django  # the settings read the environment that was made above

    django.setup()
    from alerts.tests.delivery_race.race import race

    figures = race(
        env, folder, kills=options.kills, deliverers=options.deliverers, writers=options.writers, seed=options.seed
    )
    print(figures)
    return int(figures.broken > 0)


def _command(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


if __name__ == "__main__":
    sys.exit(main())
