"""Says who wrote a price and why, and lets the database hold what is approved: unchanging, and one price at a time."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from costs import price_guards


def guard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    price_guards.guard(schema_editor.connection)
    price_guards.exclude_overlaps(schema_editor.connection)


def unguard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    price_guards.allow_overlaps(schema_editor.connection)
    price_guards.unguard(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("costs", "0003_partitioned_ledger"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("priceversion", "note", models.CharField(blank=True, max_length=300, default=""), False),
        migrations.AddField(
            "priceversion",
            "created_by",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField("pricesyncrun", "waiting_count", models.PositiveIntegerField(default=0)),
        migrations.AddField(
            "pricediscrepancy", "decided_by", models.CharField(blank=True, max_length=200, default=""), False
        ),
        migrations.AddField(
            "pricediscrepancy", "note", models.CharField(blank=True, max_length=300, default=""), False
        ),
        migrations.AlterField("skualias", "provider", models.CharField(blank=True, max_length=64)),
        migrations.RunPython(guard, unguard),
    ]
