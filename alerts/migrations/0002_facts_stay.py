"""Lets the database itself refuse to change facts, and number incidents without one waiting for another."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from core.append_only import protect_from_updates

TABLES = (
    "alerts_alertevent",
    "alerts_deliveryattempt",
    "alerts_escalationlog",
    "alerts_incidentevent",
    "alerts_securityevent",
)


def protect_facts(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for table in TABLES:
        protect_from_updates(schema_editor.connection, table)


def number_incidents(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # SQLite has one writer at a time: there the highest number plus one is enough.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE SEQUENCE IF NOT EXISTS alerts_incident_number AS integer OWNED BY alerts_incident.number"
        )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [
        migrations.RunPython(protect_facts, migrations.RunPython.noop),
        migrations.RunPython(number_incidents, migrations.RunPython.noop),
    ]
