"""What the platform itself can do when an alert fires: suspend an API key, start a job."""

from __future__ import annotations

import json
from collections.abc import Mapping

from core import jobs, keyguard
from core.errors import FieldError, Invalid
from core.ports.automation import Argument, AutomationAction, Occasion, automation_actions
from core.ports.jobs import job_kinds


def suspend_key(arguments: Mapping[str, str], occasion: Occasion) -> str:
    """Suspend every working key of a client. Raises Missing for a key that does not exist."""
    key = keyguard.find_key(arguments["key"])
    if occasion.dry_run:
        return f"would suspend {key}"
    count = keyguard.suspend_key(key, now=occasion.now, reason=occasion.reason)
    return f"suspended {key}" if count else f"{key} did not work any more"


def job_permission(arguments: Mapping[str, str]) -> str:
    """Return what a person needs to start this kind of job. Raises Invalid for a kind that nobody offers."""
    kind = arguments["job"]
    if kind not in job_kinds:
        known = ", ".join(sorted(item.name for item in job_kinds)) or "none"
        detail = f"{kind!r} is not a kind of job; known: {known}"
        raise Invalid(detail, errors=[FieldError("/arguments/job", "unknown_job", detail)])
    return job_kinds.get(kind).permission


def start_job(arguments: Mapping[str, str], occasion: Occasion) -> str:
    """Start a kind of job with its arguments. Raises Invalid for a kind that nobody offers, or senseless arguments."""
    kind = arguments["job"]
    job_permission(arguments)
    try:
        given = json.loads(arguments["arguments"] or "{}")
    except ValueError as error:
        raise Invalid(f"the job's arguments are not JSON: {error}") from error
    if not isinstance(given, dict):
        raise Invalid("the job's arguments are not a JSON object")
    title = job_kinds.get(kind).title
    if occasion.dry_run:
        return f"would start “{title}”"
    job = jobs.start_job(kind, now=occasion.now, arguments=given, title=f"{title} ({occasion.reason})")
    return f"started job {job.pk}"


ACTIONS = (
    AutomationAction(
        name="core.suspend_key",
        title="Suspend an API key",
        description="The client's keys stop working until a person resumes them.",
        arguments=(Argument("key", "Key", help="Prefix, or {{ labels.api_key }} of the alert."),),
        permission="core.change_apikey",
        run=suspend_key,
    ),
    AutomationAction(
        name="core.start_job",
        title="Start a job",
        description="A long piece of work begins in the background.",
        arguments=(
            Argument("job", "Kind of job", help="Such as costs.reprice."),
            Argument("arguments", "Its arguments", required=False, help="A JSON object.", default="{}"),
        ),
        permission="core.change_job",
        run=start_job,
        needs=job_permission,
    ),
)


def register() -> None:
    """Offer the actions; called once, from the app's ready()."""
    for action in ACTIONS:
        automation_actions.register(action)
