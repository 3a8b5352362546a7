"""Lets the database itself refuse to change facts; retention may delete old ones."""

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


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [migrations.RunPython(protect_facts, migrations.RunPython.noop)]
