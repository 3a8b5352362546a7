"""Port `automation`: what the platform can do by itself when an alert fires, offered by whichever app owns it.

An action is told whether to act or only to say what it would do. It may be run again after a crash with the same
`run_id`, so an action that leaves the process hands that id on, and one that does not is `atomic`: it runs in the
transaction that writes down that it ran, and so exactly once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Literal
from uuid import UUID

from core.context import Actor
from core.errors import FieldError, Invalid
from core.ports import Registry

Kind = Literal["text", "integer", "decimal", "choice", "url"]
# A value can be taken from the alert: {{ labels.api_key }}.
LABEL = re.compile(r"\{\{\s*labels\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Argument:
    """One value that an action needs; `help` says in what form."""

    name: str
    title: str
    kind: Kind = "text"
    required: bool = True
    help: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why an action runs: which run it is, in whose name, and the alert behind it."""

    run_id: UUID
    actor: Actor
    dry_run: bool
    now: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    severity: str = ""
    reason: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class AutomationAction:
    """One thing that can be done. `permission` is what a person needs to let a rule do it.

    `run` returns in a sentence what it did, or would do; it raises a Refusal for what cannot be done, and TryAgain for
    what may work later. `needs` names the further permission that these arguments ask for, or refuses them.
    """

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    permission: str
    run: Callable[[Mapping[str, str], Occasion], str]
    atomic: bool = True
    needs: Callable[[Mapping[str, str]], str] | None = None


class TryAgain(Exception):
    """The action did not work now and may later: nobody answered, or the other side was busy."""


automation_actions: Registry[AutomationAction] = Registry("automation", key=lambda action: action.name)


def known_action(name: str) -> AutomationAction:
    """Return an action by name; raises Invalid that lists the known ones."""
    if name in automation_actions:
        return automation_actions.get(name)
    known = ", ".join(sorted(action.name for action in automation_actions)) or "none"
    detail = f"{name!r} is not an action; known: {known}"
    raise Invalid(detail, errors=[FieldError("/action", "unknown_action", detail)])


def checked(action: AutomationAction, given: Mapping[str, object]) -> dict[str, str]:
    """Return the arguments as an action takes them; raises Invalid with every mistake. Values from labels pass."""
    known = {argument.name: argument for argument in action.arguments}
    takes = f"{action.name} takes {', '.join(known) or 'nothing'}"
    mistakes = [_mistake(name, "unknown_field", takes) for name in given if name not in known]
    values = {}
    for argument in action.arguments:
        text = str(given.get(argument.name, argument.default) or "").strip()
        if argument.required and not text:
            mistakes.append(_mistake(argument.name, "required", f"{argument.title} is required"))
        elif text and not LABEL.search(text) and (wrong := _wrong(argument, text)):
            mistakes.append(_mistake(argument.name, "invalid", wrong))
        values[argument.name] = text
    if mistakes:
        raise Invalid("; ".join(mistake.detail for mistake in mistakes), errors=mistakes)
    return values


def filled(arguments: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments with labels of the alert in the places that name them; raises Invalid for one it lacks."""
    missing = sorted({name for text in arguments.values() for name in LABEL.findall(text) if not labels.get(name)})
    if missing:
        raise Invalid(f"the alert has no label {', '.join(missing)}", code="label_missing")
    return {name: LABEL.sub(lambda found: labels[found.group(1)], text) for name, text in arguments.items()}


def _wrong(argument: Argument, text: str) -> str:
    if argument.kind == "choice" and text not in argument.choices:
        return f"{argument.title} is one of {', '.join(argument.choices)}"
    if argument.kind == "integer" and not re.fullmatch(r"-?\d{1,18}", text):
        return f"{argument.title} is a whole number"
    if argument.kind == "decimal" and not _is_decimal(text):
        return f"{argument.title} is a number"
    if argument.kind == "url" and not re.match(r"https?://", text):
        return f"{argument.title} begins with https://"
    return ""


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _mistake(name: str, code: str, detail: str) -> FieldError:
    return FieldError(f"/arguments/{name}", code, detail)
