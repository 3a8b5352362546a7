"""Makes the ledger append-only and, on PostgreSQL, partitioned by month with the transaction of every row."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from core.append_only import protect

# The table is empty here. `LIKE` keeps the columns, their defaults and checks; indexes are made again under their names.
PARTITION = """
DROP INDEX cost_event_by_entity, cost_event_unpriced, cost_event_unconverted, cost_event_adjusts;
ALTER TABLE costs_costevent RENAME TO costs_costevent_plain;
CREATE TABLE costs_costevent (LIKE costs_costevent_plain INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
    PARTITION BY RANGE (occurred_at);
DROP TABLE costs_costevent_plain;
ALTER TABLE costs_costevent ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE costs_costevent ADD CONSTRAINT costs_costevent_pkey PRIMARY KEY (id, occurred_at);
CREATE INDEX cost_event_by_entity ON costs_costevent (entity_id, occurred_at);
CREATE INDEX cost_event_unpriced ON costs_costevent (id) WHERE price_status = 'unpriced';
CREATE INDEX cost_event_unconverted ON costs_costevent (id) WHERE amount IS NOT NULL AND base_amount IS NULL;
CREATE INDEX cost_event_adjusts ON costs_costevent (adjusts) WHERE adjusts IS NOT NULL;
CREATE INDEX cost_event_by_time ON costs_costevent USING brin (occurred_at);
CREATE INDEX cost_event_by_txid ON costs_costevent (txid);
CREATE TABLE costs_costevent_default PARTITION OF costs_costevent DEFAULT;
-- Room on every page for the new version of a row: counters are updated in place, without touching an index.
ALTER TABLE costs_entitydayrollup SET (fillfactor = 60);
ALTER TABLE costs_modelhourrollup SET (fillfactor = 60);
ALTER TABLE costs_foldstate SET (fillfactor = 20);
"""


def build(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    connection = schema_editor.connection
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(PARTITION)
    protect(connection, "costs_costevent")


class Migration(migrations.Migration):
    dependencies = [("costs", "0002_budget_life")]

    operations = [
        migrations.AddField("costevent", "event_count", models.SmallIntegerField(db_default=1, default=1)),
        migrations.AddField("costevent", "input_tokens", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("costevent", "output_tokens", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("costevent", "unconverted_count", models.SmallIntegerField(db_default=0, default=0)),
        migrations.AddField("costevent", "unpriced_count", models.SmallIntegerField(db_default=0, default=0)),
        migrations.AlterField(
            "costevent",
            "event_class",
            models.CharField(
                choices=[
                    ("usage", "Usage"),
                    ("adjustment", "Adjustment"),
                    ("reversal", "Reversal"),
                    ("credit", "Credit"),
                    ("purchase", "Purchase"),
                    ("tax", "Tax"),
                ],
                db_default="usage",
                default="usage",
                max_length=10,
            ),
        ),
        migrations.AlterField("costevent", "idempotency_key", models.CharField(blank=True, max_length=200)),
        migrations.RunPython(build, migrations.RunPython.noop),
    ]
