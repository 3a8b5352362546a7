"""The detection rules that are there from the first start. One that exists is never written to again: an operator's
threshold, or a rule switched off, stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.choices import CorrelationKind
from alerts.detection_terms import DAY, stored, terms_of
from alerts.models import DetectionRule
from core.choices import Severity

MINUTE, HOUR = 60, 3600
FAILED = {"kinds": ["login"], "where": {"outcome": "failure"}}
SUCCEEDED = {"kinds": ["login"], "where": {"outcome": "success"}}


@dataclass(frozen=True, slots=True)
class Default:
    """One rule the product comes with."""

    slug: str
    name: str
    description: str
    kind: str
    severity: str
    parameters: Mapping[str, Any]


DEFAULTS = (
    Default(
        "failed-logins-per-user", "Many failed sign-ins of one account",
        "Ten failed sign-ins within five minutes: somebody guesses this account's password.",
        CorrelationKind.EVENT_COUNT, Severity.HIGH,
        {"steps": [FAILED], "group_by": ["user"], "window_seconds": 5 * MINUTE, "threshold": 10},
    ),
    Default(
        "password-spraying", "Many accounts tried from one address",
        "Failed sign-ins to ten accounts within ten minutes from one address: a few passwords are tried on everybody.",
        CorrelationKind.VALUE_COUNT, Severity.HIGH,
        {"steps": [FAILED], "group_by": ["address"], "field": "user", "window_seconds": 10 * MINUTE, "threshold": 10},
    ),
    Default(
        "login-after-failures", "Sign-in after many failures",
        "Five failures or more and then success within fifteen minutes: a password may have been guessed.",
        CorrelationKind.TEMPORAL_ORDERED, Severity.HIGH,
        {"steps": [{**FAILED, "at_least": 5}, SUCCEEDED], "group_by": ["user"], "window_seconds": 15 * MINUTE},
    ),
    Default(
        "administrator-from-new-network", "Administrator from a new network",
        "Somebody who can give others their rights signed in from a network not seen for them in 90 days.",
        CorrelationKind.NEW_VALUE, Severity.MEDIUM,
        {
            "steps": [{"kinds": ["login"], "where": {"outcome": "success", "administrator": "true"}}],
            "group_by": ["user"], "field": "network", "window_seconds": 90 * DAY,
        },
    ),
    Default(
        "key-from-new-network", "API key from a new network",
        "A key was used from a network not seen for it in 90 days: it may have been copied.",
        CorrelationKind.NEW_VALUE, Severity.MEDIUM,
        {
            "steps": [{"kinds": ["api_key.used"]}], "group_by": ["api_key"], "field": "network",
            "window_seconds": 90 * DAY,
        },
    ),
    Default(
        "closed-key-used", "Revoked, suspended or expired key used",
        "A key that opens nothing any more is still being tried.",
        CorrelationKind.EVENT_COUNT, Severity.MEDIUM,
        {
            "steps": [{"kinds": ["api_key.refused"]}], "group_by": ["api_key"], "window_seconds": HOUR,
            "threshold": 1,
        },
    ),
    Default(
        "key-rate-jump", "API key used far more than usual",
        "More than five times the median hour of the last 14 days, and more than 100 calls.",
        CorrelationKind.BASELINE, Severity.MEDIUM,
        {
            "steps": [{"kinds": ["api_key.used"]}], "group_by": ["api_key"], "window_seconds": 14 * DAY,
            "factor": 5.0, "threshold": 100,
        },
    ),
    Default(
        "key-spend-jump", "API key spends far more than usual",
        "More than five times the median hour of the last 14 days, and more than 10.00 of the base currency.",
        CorrelationKind.BASELINE, Severity.HIGH,
        {
            "steps": [{"kinds": ["api_key.spend"]}], "group_by": ["api_key"], "window_seconds": 14 * DAY,
            "factor": 5.0, "threshold": 1000,
        },
    ),
    Default(
        "rights-granted", "Superuser or role granted",
        "Somebody was made a superuser, or given a role or a permission.",
        CorrelationKind.EVENT_COUNT, Severity.MEDIUM,
        {"steps": [{"kinds": ["rights.granted"]}], "group_by": ["to"], "window_seconds": MINUTE, "threshold": 1},
    ),
    Default(
        "audit-log-gap", "Audit log damaged",
        "Entries of the audit log are gone, or the triggers that keep them are.",
        CorrelationKind.EVENT_COUNT, Severity.CRITICAL,
        {
            "steps": [{"kinds": ["audit.gap", "audit.unprotected"]}], "window_seconds": MINUTE, "threshold": 1,
            "keep_seconds": DAY,
        },
    ),
    Default(
        "mass-export", "Many exports by one person",
        "Ten lists or files taken away within ten minutes.",
        CorrelationKind.EVENT_COUNT, Severity.HIGH,
        {"steps": [{"kinds": ["data.exported"]}], "group_by": ["actor"], "window_seconds": 10 * MINUTE,
         "threshold": 10},
    ),
)  # fmt: skip


def keep_defaults(*, now: datetime) -> int:
    """Make the default rules that are missing; return how many. Safe to run twice and twice at once."""
    there = set(DetectionRule.objects.values_list("slug", flat=True))
    missing = [default for default in DEFAULTS if default.slug not in there]
    rows = [_row(default, now) for default in missing]
    DetectionRule.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _row(default: Default, now: datetime) -> DetectionRule:
    terms_of(default.kind, default.parameters)
    return DetectionRule(
        slug=default.slug,
        name=default.name,
        description=default.description,
        kind=str(default.kind),
        severity=str(default.severity),
        parameters=stored(default.parameters),
        is_default=True,
        evaluated_at=now,
    )
