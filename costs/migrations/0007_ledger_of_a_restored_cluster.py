"""Room for transaction numbers that begin again in another cluster of PostgreSQL."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("costs", "0006_exact_prices")]

    operations = [
        migrations.AddField(
            "foldstate", "txid_offset", models.BigIntegerField(db_default=0, default=0, editable=False)
        ),
    ]
