"""Holds unit prices exactly on SQLite too, where a decimal column keeps fifteen digits."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import core.money
from costs import price_guards


def guard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    price_guards.guard(schema_editor.connection)


def unguard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    price_guards.unguard(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("costs", "0005_ledger_retention")]

    operations = [
        migrations.RunPython(unguard, guard),
        migrations.AlterField("pricecomponent", "unit_price", core.money.MoneyField()),
        migrations.AlterField("pricediscrepancy", "used_price", core.money.MoneyField()),
        migrations.AlterField("pricediscrepancy", "other_price", core.money.MoneyField()),
        migrations.RunPython(guard, unguard),
    ]
