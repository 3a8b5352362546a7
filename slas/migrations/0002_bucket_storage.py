from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

POSTGRESQL = [
    # A minute's, an hour's and a day's bucket change with every batch: room for the new version on the same page.
    "ALTER TABLE slas_slibucket SET (fillfactor = 70)",
    # A few rows change thousands of times between two vacuums of the default settings.
    "ALTER TABLE slas_slibucket SET (autovacuum_vacuum_scale_factor = 0.02)",
]


def tune_postgresql(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in POSTGRESQL:
            schema_editor.execute(statement)


def untune_postgresql(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE slas_slibucket RESET (fillfactor, autovacuum_vacuum_scale_factor)")


class Migration(migrations.Migration):
    dependencies = [("slas", "0001_initial")]

    operations = [migrations.RunPython(tune_postgresql, untune_postgresql)]
