"""Cost ingest over HTTP, folding included, against raw COPY (or executemany) and against a naive view.

The events are priced, deduplicated, rolled up exactly and counted by budgets; the reference only moves finished rows.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator

import psycopg

from benchmarks import workload
from benchmarks.harness import Line, Sample, Scratch, Server, background, interleaved, scratch, server, timed

PATH = "/api/v1/financial/costs:batch"
BATCH = 500
# The folder comes by twice a second, so that the last events of a sample wait for it. A sample with a goal is long
# enough that this wait is no large part of it.
LONG = 60_000
SCOPES = ("--scope", "costs:write", "--scope", "costs:read", "--scope", "budgets:read", "--scope", "budgets:write")


def run(kind: str) -> list[Line]:
    """Measure on one kind of database and return the lines."""
    with scratch(kind) as base:
        key = base.manage("apikey", "create", "bench", *SCOPES).strip()
        reference = Copied(base) if kind == "postgresql" else Inserted(base)
        lines = [*_batches(base, key, reference), _naive(base, key), *_hard(base, key, reference)]
        _verify(base)
        return lines


class Copied:
    """Rows that the product wrote, moved once more by raw COPY, 500 per commit, into copies of the same two tables."""

    label = "raw COPY"

    def __init__(self, base: Scratch) -> None:
        self.base = base
        self.blocks: list[tuple[bytes, bytes]] = []

    def prepare(self) -> None:
        """Take the rows of the newest events as COPY text and make empty tables of the same shape."""
        with psycopg.connect(self.base.url, autocommit=True) as link:
            for table in ("costs_eventkey", "costs_costevent"):
                link.execute(f"CREATE TABLE IF NOT EXISTS raw_{table} (LIKE {table} INCLUDING ALL)".encode())
            events = "SELECT * FROM costs_costevent ORDER BY id DESC LIMIT 20000"
            keys = f"SELECT k.* FROM ({events}) e JOIN costs_eventkey k ON k.event = e.id ORDER BY e.id DESC"  # noqa: S608
            rows = [_copied(link, query) for query in (keys, events)]
        self.blocks = [
            (b"".join(rows[0][at : at + BATCH]), b"".join(rows[1][at : at + BATCH]))
            for at in range(0, len(rows[0]), BATCH)
        ]

    def sample(self, number: int) -> Sample:
        """Empty the copies and fill them again."""
        with psycopg.connect(self.base.url) as link:
            link.execute("TRUNCATE raw_costs_eventkey, raw_costs_costevent")
            link.commit()
            return timed(len(self.blocks) * BATCH, lambda: self._copy(link), web=(), database=self.base.postmaster)

    def _copy(self, link: psycopg.Connection[tuple[object, ...]]) -> None:
        for keys, events in self.blocks:
            for table, block in (("raw_costs_eventkey", keys), ("raw_costs_costevent", events)):
                with link.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(block)
            link.commit()


def _copied(link: psycopg.Connection[tuple[object, ...]], query: str) -> list[bytes]:
    with link.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        return [bytes(row) for row in copy]


class Inserted:
    """The same for SQLite: executemany of finished rows, 500 per commit, into copies of the two tables."""

    label = "executemany"

    def __init__(self, base: Scratch) -> None:
        self.base = base
        self.rows: dict[str, list[tuple[object, ...]]] = {}

    def link(self) -> sqlite3.Connection:
        """Open the file with exact sums."""
        from core.money import register_sqlite_functions

        link = sqlite3.connect(self.base.folder / "bench.sqlite3", timeout=30)
        link.execute("PRAGMA synchronous=NORMAL")
        register_sqlite_functions(link)
        return link

    def prepare(self) -> None:
        """Read the rows of the newest events and make empty tables of the same shape."""
        with contextlib.closing(self.link()) as link:
            for table in ("costs_eventkey", "costs_costevent"):
                named = (
                    "SELECT type, sql FROM sqlite_master "
                    "WHERE tbl_name = ? AND type IN ('table', 'index') AND sql IS NOT NULL"
                )
                for _, sql in sorted(link.execute(named, (table,)).fetchall(), reverse=True):
                    again = sql.replace(table, f"raw_{table}")
                    for index in ("cost_event_", "event_key_"):
                        again = again.replace(f'INDEX "{index}', f'INDEX "raw_{index}')
                    link.execute(
                        again.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").replace(
                            "CREATE INDEX", "CREATE INDEX IF NOT EXISTS"
                        )
                    )
                self.rows[table] = link.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 20000").fetchall()  # noqa: S608
            link.commit()

    def sample(self, number: int) -> Sample:
        """Empty the copies and fill them again."""
        import os

        with contextlib.closing(self.link()) as link:
            for table in self.rows:
                link.execute(f"DELETE FROM raw_{table}")  # noqa: S608
            link.commit()
            count = len(self.rows["costs_costevent"])
            return timed(count, lambda: self._insert(link), web=(os.getpid(),), database=())

    def _insert(self, link: sqlite3.Connection) -> None:
        for at in range(0, len(self.rows["costs_costevent"]), BATCH):
            for table, rows in self.rows.items():
                marks = ",".join("?" * len(rows[0]))
                link.executemany(f"INSERT INTO raw_{table} VALUES ({marks})", rows[at : at + BATCH])  # noqa: S608
            link.commit()


@contextlib.contextmanager
def _product(base: Scratch) -> Iterator[tuple[Server, tuple[int, ...]]]:
    """The web server and, on PostgreSQL, the folder that keeps up with it: what the samples count as ours."""
    with server(base) as web:
        if base.kind == "sqlite":
            yield web, (web.pid,)
            return
        with background(base, "-m", "benchmarks.folder") as folder:
            yield web, (web.pid, folder)


def _ours(
    base: Scratch, key: str, clients: int, *, size: int = BATCH, events: int = 20_000, seed: int, spread: bool = False
) -> Callable[[int], Sample]:
    def sample(number: int) -> Sample:
        requests = workload.bodies(events // size, size, seed=seed * 100 + number, spread=spread)
        with _product(base) as (web, pids):
            workload.post_all(web.port, PATH, workload.bodies(4, size, seed=seed * 100 + number + 50), key=key)
            # The folder has started when it has folded these: its start is no part of the price.
            _folded(base)

            def work() -> None:
                workload.post_all(web.port, PATH, requests, key=key, clients=clients)
                _folded(base)

            return timed(events // size * size, work, web=pids, database=base.postmaster)

    return sample


def _folded(base: Scratch) -> None:
    """Wait until every recorded event is in the rollups: the folding belongs to the price of recording."""
    if base.kind == "sqlite":
        return
    with psycopg.connect(base.url, autocommit=True) as link:
        query = (
            b"SELECT EXISTS (SELECT 1 FROM costs_costevent"
            b" WHERE txid >= (SELECT horizon::text::xid8 FROM costs_foldstate))"
        )
        while True:
            row = link.execute(query).fetchone()
            if row == (False,):
                return
            time.sleep(0.05)


def _batches(base: Scratch, key: str, reference: Copied | Inserted) -> list[Line]:
    _ours(base, key, 2, seed=1)(0)  # fills the caches, and gives the reference its rows
    reference.prepare()
    goals = {1: 0.40, 2: 0.50} if base.kind == "postgresql" else {1: 0.20, 2: 0.20}
    lines = []
    for clients in (1, 2):
        line = Line(f"{base.kind}: batches of {BATCH}, {clients} in flight", reference.label, goal=goals[clients])
        lines.append(interleaved(line, _ours(base, key, clients, events=LONG, seed=2 + clients), reference.sample))
    for size, events in ((1, 1000), (100, 10_000), (2000, 20_000)):
        line = Line(f"{base.kind}: batches of {size}, 2 in flight", reference.label)
        lines.append(interleaved(line, _ours(base, key, 2, size=size, events=events, seed=10 + size), reference.sample))
    line = Line(f"{base.kind}: batches of {BATCH} spread over 30 days", reference.label)
    lines.append(interleaved(line, _ours(base, key, 2, seed=40, spread=True), reference.sample))
    return lines


def _hard(base: Scratch, key: str, reference: Copied | Inserted) -> list[Line]:
    with server(base) as web:
        budgets = [
            json.dumps(
                {
                    "name": f"b{n}",
                    "entity_type": "agent",
                    "entity_id": f"agent-{n}",
                    "amount": "100000000",
                    "period": "monthly",
                    "mode": "hard",
                }
            ).encode()
            for n in range(100)
        ]
        workload.post_all(web.port, "/api/v1/financial/budgets", budgets, key=key)
    goal = 0.25 if base.kind == "postgresql" else None
    line = Line(f"{base.kind}: the same, 100 hard budgets", reference.label, goal=goal)
    return [interleaved(line, _ours(base, key, 2, events=LONG, seed=50), reference.sample)]


def _naive(base: Scratch, key: str) -> Line:
    """Compare processor time with the naive view; its rows are the product's own, field for field."""

    def theirs(number: int) -> Sample:
        requests = [json.dumps(_naive_body(item)).encode() for item in workload.items(400, seed=7000 + number)]
        with server(
            base, "django.core.wsgi:get_wsgi_application()", DJANGO_SETTINGS_MODULE="benchmarks.naive_settings"
        ) as web:
            workload.post_all(web.port, "/costs", requests[:20])
            return timed(
                380,
                lambda: workload.post_all(web.port, "/costs", requests[20:]),
                web=(web.pid,),
                database=base.postmaster,
            )

    line = Line(
        f"{base.kind}: batches of {BATCH}, per core",
        "naive DRF view",
        by_cpu=True,
        goal=100 if base.kind == "postgresql" else None,
    )
    return interleaved(line, _ours(base, key, 2, events=LONG, seed=60), theirs)


def _naive_body(item: dict[str, object]) -> dict[str, object]:
    return {
        **{
            name: item[name]
            for name in (
                "cost_type",
                "provider",
                "model",
                "occurred_at",
                "session_id",
                "tags",
                "metadata",
                "idempotency_key",
            )
        },
        "recorded_at": item["occurred_at"],
        "entity": 1,
        "currency": "USD",
        "amount": "0.0123",
        "base_amount": "0.0123",
        "price_status": "reported",
        "source": "naive",
        "quantities": {"input_tokens": item["input_tokens"], "output_tokens": item["output_tokens"]},
        "breakdown": {"input_tokens": "0.01"},
    }


def _verify(base: Scratch) -> None:
    """Refuse to report figures of a ledger that does not add up."""
    tables = ("costs_costevent", "costs_entitydayrollup", "costs_modelhourrollup")
    if base.kind == "postgresql":
        with psycopg.connect(base.url) as link:
            sums = [link.execute(f"SELECT sum(amount) FROM {table}".encode()).fetchone() for table in tables]  # noqa: S608
    else:
        with contextlib.closing(Inserted(base).link()) as file:
            sums = [file.execute(f"SELECT money_sum(amount) FROM {table}").fetchone() for table in tables]  # noqa: S608
    if len(set(sums)) != 1:
        raise RuntimeError(f"rollups differ from the events: {sums}")
