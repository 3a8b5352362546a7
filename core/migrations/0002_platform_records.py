"""Adds signs of life and what a sync wrote into the schedules, and makes the audit log append-only for everybody."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from core.append_only import protect


def protect_audit_log(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    protect(schema_editor.connection, "core_auditentry")


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Pulse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("at", models.DateTimeField()),
                ("detail", models.CharField(blank=True, max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="ScheduleRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                ("written", models.JSONField(default=dict)),
                ("synced_at", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(protect_audit_log, migrations.RunPython.noop),
    ]
