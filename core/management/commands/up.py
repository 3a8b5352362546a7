"""`manage.py up`: the whole platform in one process tree."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser
from django.utils import timezone

from core.forks import close_connections
from core.serving.background import Background
from core.serving.claims import claim_port, claim_roles
from core.serving.preparation import prepare, run_if_offered, say
from core.serving.welcome import welcome
from core.starting import exit_on_refusal, require_services, require_sound_configuration

WAIT_SECONDS = 30.0


class Command(BaseCommand):
    """Starts web server, worker and scheduler; ends with Ctrl-C."""

    help = "Run the platform: web server, worker and scheduler in one process tree."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Roles to leave out, and demonstration data."""
        for role in ("web", "worker", "beat"):
            parser.add_argument(f"--no-{role}", action="store_true", help=f"leave the {role} to another process")
        parser.add_argument("--no-prepare", action="store_true", help="do not migrate or load defaults before serving")
        parser.add_argument("--demo", action="store_true", help="add 90 days of marked, removable demonstration data")
        parser.add_argument("--reset-demo", action="store_true", help="remove the demonstration data, nothing else")

    def handle(self, **options: Any) -> None:
        """Check, claim, prepare, serve; a refusal is said in words and ends with 1."""
        try:
            exit_on_refusal(lambda: self._start(options), 1)
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    def _start(self, options: dict[str, Any]) -> None:
        roles = [role for role in ("web", "worker", "beat") if not options[f"no_{role}"]]
        require_sound_configuration()
        listener = claim_port(settings.HOST, settings.PORT) if "web" in roles else None
        # Held until the end of this process and of those forked from it.
        self._locks = claim_roles(settings.DATA_DIR / "locks", roles)
        require_services(seconds=WAIT_SECONDS)
        if not options["no_prepare"]:
            prepare()
        _change_demonstration(options)
        background = Background("worker" in roles, "beat" in roles, settings.WORKER_CONCURRENCY)
        if listener is None:
            say(f"Agent Factory runs: {', '.join(roles)}. Ctrl-C stops it.")
            _serve_background(background)
        else:
            # Imported late: nothing but this command needs the web server.
            from core.serving.application import web_application
            from core.serving.server import WebServer

            application = web_application()
            say(welcome(settings.HOST, listener.getsockname()[1], roles, now=timezone.now()))
            close_connections()
            WebServer(application, listener, background).run()


def _change_demonstration(options: dict[str, Any]) -> None:
    if options["reset_demo"]:
        run_if_offered("load_demo", "--reset")
    if options["demo"]:
        run_if_offered("load_demo")


def _serve_background(background: Background) -> None:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    background.start()
    over.wait()
    background.stop()
    if background.failed:
        raise SystemExit(1)
