"""Logs: one form for everything that is logged here, by us and by the libraries, with secrets taken out.

`LOG_FORMAT=json` writes one JSON object a line; anything else writes for people.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter

from core.context import current

REDACTED = "[redacted]"
SECRET_NAMES = re.compile(r"authori[sz]ation|password|passwd|secret|token$|api_?key$|cookie|credential", re.IGNORECASE)
# Our keys keep their prefix, which names them without opening anything.
SECRET_TEXTS = (
    (re.compile(r"(af_[0-9a-z]{8})_[A-Za-z0-9_-]{43}"), rf"\1_{REDACTED}"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',;\\]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"(\w+://[^\s:/@\"]*):[^\s@/\"]+@"), rf"\1:{REDACTED}@"),
)
EXTRAS = ["status_code", "task_id", "task_name"]


class RedactingFormatter(ProcessorFormatter):
    """The formatter of structlog that takes secrets out of the finished line, whatever brought them there."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without secrets."""
        line = super().format(record)
        for pattern, replacement in SECRET_TEXTS:
            line = pattern.sub(replacement, line)
        return line


def formatter(style: str = "console") -> logging.Formatter:
    """Return the formatter of every log line (`style` json or console) and point structlog at the same place."""
    before = _shared()
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *before, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    last: list[Any]
    if style == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    return RedactingFormatter(
        foreign_pre_chain=[*before, structlog.stdlib.ExtraAdder(allow=EXTRAS)],
        processors=[ProcessorFormatter.remove_processors_meta, redact, *last],
    )


def _json(event: Mapping[str, Any], **_: Any) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except (TypeError, ValueError, RecursionError):
        # Odd keys, lone surrogates, circles: the line is still worth having.
        plain = {str(name): value if isinstance(value, str) else repr(value) for name, value in event.items()}
        return json.dumps(plain)


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        add_context,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        hold_exception,
    ]


def add_context(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add who acts, through which door and in which request."""
    context = current()
    if context.request_id:
        event.setdefault("request_id", context.request_id)
    event.setdefault("actor", context.actor.label)
    event.setdefault("channel", context.channel)
    return event


def hold_exception(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take hold of "the exception being handled" while it is: a line may be formatted later, in another thread."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose name says that they are secret, at any depth."""
    for name in event.keys() - {"exc_info"}:
        event[name] = REDACTED if SECRET_NAMES.search(name) else _redacted(event[name])
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: REDACTED if SECRET_NAMES.search(str(name)) else _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value
