"""Adds approvals, whose frozen columns the database itself keeps, and the suspension of API keys."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import core.ids
from core.append_only import freeze_columns

FROZEN = (
    "kind",
    "arguments",
    "description",
    "digest",
    "requester_kind",
    "requester_id",
    "requested_by_id",
    "reason",
)


def freeze_what_was_asked(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    freeze_columns(schema_editor.connection, "core_approval", FROZEN)


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0003_audit_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="suspended_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="suspended_reason",
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("lease_token", models.UUIDField(editable=False, null=True)),
                ("lease_until", models.DateTimeField(editable=False, null=True)),
                ("id", models.UUIDField(default=core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=100)),
                ("title", models.CharField(max_length=200)),
                ("arguments", models.JSONField(default=dict)),
                ("description", models.JSONField(default=list)),
                ("digest", models.CharField(max_length=64)),
                ("subject_type", models.CharField(blank=True, max_length=100)),
                ("subject_id", models.CharField(blank=True, max_length=200)),
                ("link", models.CharField(blank=True, max_length=500)),
                ("reason", models.CharField(max_length=500)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("approved", "Approved"),
                            ("executing", "Executing"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("refused", "Refused"),
                            ("withdrawn", "Withdrawn"),
                            ("expired", "Expired"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                (
                    "requester_kind",
                    models.CharField(
                        choices=[("user", "User"), ("api_key", "API key"), ("system", "System")], max_length=10
                    ),
                ),
                ("requester_id", models.CharField(max_length=64)),
                ("requester_label", models.CharField(max_length=200)),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("remind_at", models.DateTimeField()),
                ("decided_by_label", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_reason", models.CharField(blank=True, max_length=500)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("finished_at", models.DateTimeField(null=True)),
                ("result", models.CharField(blank=True, max_length=500)),
                ("error", models.CharField(blank=True, max_length=1000)),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["status", "-id"], name="approval_by_status"),
                    models.Index(fields=["requested_by", "-id"], name="approval_by_requester"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ("waiting", "approved", "executing"))),
                        fields=("kind", "digest"),
                        name="approval_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decided_by", None),
                            ("requested_by", None),
                            models.Q(("decided_by", models.F("requested_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="approval_has_four_eyes",
                    ),
                ],
            },
        ),
        migrations.RunPython(freeze_what_was_asked, migrations.RunPython.noop),
    ]
