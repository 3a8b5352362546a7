"""Audit entries are found by a subject, an actor, a request or a time alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0002_platform_records"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="auditentry",
            name="audit_by_subject",
        ),
        migrations.RemoveIndex(
            model_name="auditentry",
            name="audit_by_actor",
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["subject_id", "subject_type", "-id"], name="audit_by_subject"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["actor_id", "actor_kind", "-id"], name="audit_by_actor"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["request_id"], name="audit_by_request"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["at"], name="audit_by_time"),
        ),
    ]
