"""Celery entry points of the alerts app: each reads the clock and runs one pass; safe to run twice and at once.

A message that waited longer than the pass's interval is worth nothing: the next one is there.
"""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from alerts import sweeps
from alerts.services import oncall


@shared_task(ignore_result=True, acks_late=True, expires=2, time_limit=600)
def sweep() -> None:
    """Run every pass that is due: the one task of the embedded mode, where each message is a file."""
    sweeps.run_due(timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=10, time_limit=300)
def evaluate_rules() -> None:
    """Evaluate the alert rules that are due."""
    sweeps.run("evaluate_rules", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=5, time_limit=120)
def read_conditions() -> None:
    """Turn conditions that changed into alerts."""
    sweeps.run("read_conditions", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=15, time_limit=120)
def expire() -> None:
    """End alerts, acknowledgements and silences whose time is over."""
    sweeps.run("expire", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=15, time_limit=300)
def detect_threats() -> None:
    """Look for threats in security events."""
    sweeps.run("detect_threats", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=5, time_limit=120)
def route() -> None:
    """Assign alerts that changed to groups."""
    sweeps.run("route", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=5, time_limit=120)
def flush_groups() -> None:
    """Write the messages of groups that are due."""
    sweeps.run("flush_groups", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=5, time_limit=120)
def escalate() -> None:
    """Take the escalation steps that are due."""
    sweeps.run("escalate", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=10, time_limit=300)
def automate() -> None:
    """Run the automated answers to alerts."""
    sweeps.run("automate", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=2, time_limit=300)
def deliver() -> None:
    """Send the messages that are due."""
    sweeps.run("deliver", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=60, time_limit=120)
def watch() -> None:
    """Report passes that have stopped, and call the outside watch."""
    sweeps.run("watch", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=3600, time_limit=3600)
def prune() -> None:
    """Remove old alerts, messages and events."""
    sweeps.run("prune", timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=3600, time_limit=300)
def check_schedules() -> None:
    """Look for gaps and inactive people in the on-call schedules of the coming 30 days."""
    oncall.check_schedules(timezone.now())
