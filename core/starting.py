"""What comes before anything is served: a sound configuration and stores that answer, or a clear refusal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from django.core.checks import ERROR, CheckMessage, run_checks

from core.checks import CONFIGURATION, unreachable_broker, unreachable_database

# gunicorn stops, instead of trying for ever, when a worker ends with this code while it loads the application.
WSGI_REFUSED = 4


class CannotStart(Exception):
    """The product does not start; the text says why and what to do, for a person to read."""


def require_sound_configuration() -> None:
    """Raise CannotStart when a value of the configuration is wrong or dangerous; print what is merely doubtful."""
    found = run_checks(tags=[CONFIGURATION])
    errors = [message for message in found if message.level >= ERROR]
    if errors:
        raise CannotStart(told("The configuration is wrong, so nothing was started:", errors))
    if found:
        print(told("The configuration is doubtful:", found), file=sys.stderr)


def require_services(*, seconds: float = 0.0) -> None:
    """Raise CannotStart when database or broker do not answer within that time."""
    for probe in (unreachable_database, unreachable_broker):
        problem = _patient(probe, seconds)
        if problem is not None:
            raise CannotStart(told("Something the platform needs does not answer, so nothing was started:", [problem]))


def require_everything(*, seconds: float = 0.0) -> None:
    """Raise CannotStart unless the configuration is sound and the services answer."""
    require_sound_configuration()
    require_services(seconds=seconds)


def exit_on_refusal(step: Callable[[], None], code: int) -> None:
    """Run a step of the start; on CannotStart print it and end the process with this code, without a traceback."""
    try:
        step()
    except CannotStart as refusal:
        print(refusal, file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def told(heading: str, messages: Iterable[CheckMessage]) -> str:
    """Return check messages as text for a terminal: id, what is wrong, and below it the cure."""
    lines = [heading]
    for message in messages:
        lines.append(f"  {message.id}  {message.msg}")
        if message.hint:
            lines.append(f"{'':{len(message.id or '') + 4}}{message.hint}")
    return "\n".join(lines)


def _patient(probe: Callable[[], CheckMessage | None], seconds: float) -> CheckMessage | None:
    deadline = time.monotonic() + seconds
    said = False
    while (problem := probe()) is not None and time.monotonic() < deadline:
        if not said:
            print(f"Waiting: {problem.msg}", file=sys.stderr, flush=True)
            said = True
        time.sleep(1)
    return problem
