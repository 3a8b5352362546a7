"""The web server of `manage.py up`: gunicorn with one process of many threads, told what to do by the settings."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from core.serving.background import FINISH_SECONDS, Background

# The child lets requests and then tasks finish; the parent kills it when it takes longer than both.
GRACEFUL_SECONDS = int(FINISH_SECONDS) + 15


class PlainLogger(Logger):  # type: ignore[misc]  # the library ships no types
    """Hands gunicorn's messages to the platform's log, warnings and worse only."""

    def setup(self, cfg: Any) -> None:
        """Add no handler: the root logger has one."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class GentleArbiter(Arbiter):  # type: ignore[misc]  # the library ships no types
    """Treats the first Ctrl-C like a request to end in order; the second ends at once."""

    def handle_int(self) -> None:
        """Let requests and tasks finish."""
        print("\nStopping; running tasks may finish. Ctrl-C again ends at once.", flush=True)
        self.handle_term()


class WebServer(BaseApplication):  # type: ignore[misc]  # the library ships no types
    """Serves pages on a socket that is bound already, with the background threads in the same process."""

    def __init__(self, application: WSGIHandler, listener: socket.socket, background: Background) -> None:
        self._application = application
        self._listener = listener
        self._background = background
        super().__init__()

    def load_config(self) -> None:
        """Everything is decided here; gunicorn's own variables and files are not read."""
        temporary = Path(settings.FILE_UPLOAD_TEMP_DIR)
        temporary.mkdir(parents=True, exist_ok=True)
        values = {
            "bind": f"fd://{self._listener.detach()}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": settings.WEB_THREADS,
            "timeout": 120,
            "graceful_timeout": GRACEFUL_SECONDS,
            "keepalive": 5,
            "worker_tmp_dir": str(temporary),
            "control_socket_disable": True,
            "logger_class": PlainLogger,
            "post_worker_init": self._begin,
            "worker_exit": self._end,
            "proc_name": "agent-factory",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application; it was made, and the configuration checked, before the fork."""
        return self._application

    def run(self) -> None:
        """Serve until told to stop."""
        GentleArbiter(self).run()

    def _begin(self, _worker: object) -> None:
        # The terminal sends Ctrl-C to both processes; the parent alone decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._background.start()

    def _end(self, _arbiter: object, _worker: object) -> None:
        self._background.stop()
