"""Roles: groups with the permissions that each person's work needs, made and completed after every migration.

What is missing is added; what an administrator added is never taken away. A new table of an app is covered by the
grants on the whole app ("*") as soon as its migration has run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import router, transaction

VIEW = ("view",)
WORK = ("view", "add", "change")
MANAGE = ("view", "add", "change", "delete")
EVERY_TABLE = ("*",)


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be done (`verbs`) with which tables of one app; "*" means all of them, now and later."""

    app: str
    verbs: tuple[str, ...]
    tables: tuple[str, ...] = EVERY_TABLE

    def covers(self, app: str, codename: str) -> bool:
        """Say whether a permission such as ("costs", "view_budget") is part of the grant."""
        verb, _, table = codename.partition("_")
        return app == self.app and verb in self.verbs and ("*" in self.tables or table in self.tables)


@dataclass(frozen=True, slots=True)
class Role:
    """One group: its name, whom it is for, and what it grants."""

    name: str
    purpose: str
    grants: tuple[Grant, ...]


# Everybody may watch a job of their own and sees its result, and the approvals that concern them.
OWN_WORK = Grant("core", VIEW, ("job", "approval"))
EVIDENCE = Grant("core", VIEW, ("auditentry", "conditionrecord", "apikey"))

ROLES = (
    Role(
        "finance",
        "Keeps prices, budgets and allocations, and answers for the numbers.",
        (
            Grant("costs", MANAGE),
            Grant("slas", VIEW, ("customer", "slacontract", "slatier", "slaperiod", "report")),
            Grant("slas", ("credit",), ("slaperiod",)),
            OWN_WORK,
        ),
    ),
    Role("finance_viewer", "Looks at spending and budgets.", (Grant("costs", VIEW), OWN_WORK)),
    Role(
        "compliance_officer",
        "Runs the controls and collects their evidence.",
        (
            Grant("compliance", MANAGE),
            *(Grant(app, VIEW) for app in ("experiments", "slas", "alerts", "backups")),
            EVIDENCE,
            OWN_WORK,
        ),
    ),
    Role(
        "privacy_officer",
        "Answers requests of the people whose data is held.",
        (Grant("compliance", WORK), Grant("core", VIEW, ("auditentry",)), OWN_WORK),
    ),
    Role(
        "operations",
        "Keeps the platform running: jobs, schedules, objectives, alerts, backups, and what could not be ingested.",
        (
            *(Grant(app, MANAGE) for app in ("slas", "alerts", "backups", "django_celery_beat")),
            Grant("django_celery_results", VIEW),
            Grant("costs", VIEW),
            Grant("costs", ("change",), ("ingestreject", "unpricedmodel")),
            Grant("core", VIEW, ("conditionrecord", "apikey", "approval")),
            Grant("core", ("view", "change"), ("job",)),
        ),
    ),
    Role(
        "researcher",
        "Runs experiments and reads what they cost.",
        (
            Grant("experiments", MANAGE),
            Grant("costs", VIEW, ("costevent", "entity", "budget", "sku", "priceversion")),
            OWN_WORK,
        ),
    ),
    Role(
        "security_admin",
        "Gives people their roles and machines their keys, and watches both.",
        (
            Grant("auth", WORK, ("user",)),
            Grant("auth", VIEW, ("group",)),
            Grant("core", WORK, ("apikey",)),
            Grant("core", VIEW, ("auditentry", "conditionrecord")),
            Grant("alerts", VIEW, ("alert", "automationrule", "automationrun", "securityevent")),
            Grant("alerts", WORK, ("detectionrule",)),
            # By what people are paged, everybody's; to who leads operations the last one is given by hand.
            Grant("alerts", MANAGE, ("contactmethod",)),
            Grant("alerts", ("manage",), ("contacts",)),
            *(Grant(app, VIEW) for app in ("mfa", "usersessions")),
            OWN_WORK,
        ),
    ),
    Role(
        "auditor",
        "Reads everything that is evidence and changes nothing.",
        (
            *(Grant(app, VIEW) for app in ("costs", "experiments", "slas", "alerts", "compliance", "backups")),
            Grant("auth", VIEW, ("user", "group")),
            *(Grant(app, VIEW) for app in ("mfa", "usersessions", "django_celery_beat", "django_celery_results")),
            EVIDENCE,
            OWN_WORK,
        ),
    ),
)
ROLE_NAMES = frozenset(role.name for role in ROLES)


def complete_roles(using: str) -> int:
    """Create missing groups and give every role the permissions it lacks; return how many were given."""
    from django.contrib.auth.models import Group, Permission  # models load after the configuration

    through = Group.permissions.through
    known = list(
        Permission.objects.using(using).values_list("pk", "content_type__app_label", "codename").order_by("pk")
    )
    given = 0
    with transaction.atomic(using=using):
        for role in ROLES:
            group, _ = Group.objects.using(using).get_or_create(name=role.name)
            has = set(through.objects.using(using).filter(group=group).values_list("permission_id", flat=True))
            wanted = _granted(role, known) - has
            rows = [through(group_id=group.pk, permission_id=permission) for permission in sorted(wanted)]
            through.objects.using(using).bulk_create(rows, ignore_conflicts=True)
            given += len(rows)
    return given


def _granted(role: Role, known: Iterable[tuple[int, str, str]]) -> set[int]:
    return {pk for pk, app, codename in known if any(grant.covers(app, codename) for grant in role.grants)}


def after_migrate(*, app_config: Any, using: str, **_: Any) -> None:
    """Complete the roles once, after the last app's tables and permissions are there."""
    with_models = [config for config in apps.get_app_configs() if config.models_module is not None]
    if app_config is not with_models[-1] or not router.allow_migrate(using, "auth"):
        return
    complete_roles(using)
