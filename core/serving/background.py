"""Worker and scheduler as threads of the process that serves pages, and a watch over both.

When one of the two threads ends by itself the whole process is told to stop: a fresh one takes its place. That is the
only cure that also frees what a half-dead worker holds.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from celery import Celery, beat, current_app
from celery.worker import WorkController, state
from django.db import connections

log = structlog.get_logger(__name__)

WATCH_SECONDS = 2.0
# Tasks get this long to finish when the platform stops.
FINISH_SECONDS = 25.0


@dataclass(slots=True)
class Background:
    """The background threads of one process; `start` once, `stop` once."""

    with_worker: bool
    with_beat: bool
    concurrency: int
    failed: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)
    _stops: list[Callable[[], None]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start what was asked for, and the watch over it."""
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's target: threads have none
        app.finalize()
        app.loader.import_default_modules()
        if self.with_worker:
            _declare_queues(app)
            self._start_worker(app)
        if self.with_beat:
            self._start_beat(app)
        if self._threads:
            threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Send no more tasks, take no more, let the running ones finish within FINISH_SECONDS."""
        self._over.set()
        for stop in reversed(self._stops):
            stop()
        for thread in self._threads:
            thread.join(FINISH_SECONDS)
            if thread.is_alive():
                log.warning("tasks were still running when time was up", thread=thread.name)

    def _start_worker(self, app: Celery) -> None:
        worker = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=self.concurrency,
            hostname=f"embedded{os.getpid()}@local",
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )
        self._run("worker", worker.start)
        # Shows at once, instead of at the next minute, that the worker does what it is sent.
        app.send_task("core.pulse", expires=60)
        self._stops.append(_stop_worker)

    def _start_beat(self, app: Celery) -> None:
        # Without its class the service would keep schedules in a file and never look at the database.
        scheduler = beat.EmbeddedService(app, thread=True, scheduler_cls=app.conf.beat_scheduler)
        service = scheduler.service  # type: ignore[union-attr]  # a thread was asked for
        self._run("beat", service.start)
        self._stops.append(service.stop)

    def _run(self, name: str, target: Callable[[], object]) -> None:
        def work() -> None:
            try:
                target()
            except SystemExit:
                log.debug("thread asked to end", thread=name)
            except Exception:
                log.exception("thread failed", thread=name)
            finally:
                connections.close_all()

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            dead = [thread.name for thread in self._threads if not thread.is_alive()]
            if dead:
                self.failed = True
                log.critical("a background thread has ended; the process starts anew", threads=dead)
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _declare_queues(app: Celery) -> None:
    """Make the queues before anybody uses them.

    The embedded queue keeps them in a file that is empty for a moment when it is new: a worker and a sender that both
    came to it first would trip over each other.
    """
    with app.connection_for_write() as broker:
        for queue in app.amqp.queues.values():
            queue(broker.default_channel).declare()


def _stop_worker() -> None:
    # The worker's loop looks at this flag between messages and then lets its tasks finish.
    state.should_stop = 0  # type: ignore[assignment]  # the stubs know the initial value only
