"""Where retention has cut the ledger off, and what an audit of the rollups found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("costs", "0004_price_book_guards")]

    operations = [
        migrations.AddField("foldstate", "retained_from", models.DateField(editable=False, null=True)),
        migrations.AddField("rollupaudit", "detail", models.CharField(blank=True, max_length=500)),
    ]
