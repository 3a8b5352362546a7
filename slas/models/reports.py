"""Reports: what was known when they were made, frozen, and the files made of it."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from slas.choices import ReportFormat, ReportKind


class Report(models.Model):
    """One report over one window: its inputs as canonical JSON, with their SHA-256.

    Whoever makes the same report of the same inputs gets this one. Nothing of it changes afterwards; `verified_*` say
    when somebody last compared every hash.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=13, choices=ReportKind)
    title = models.CharField(max_length=300)
    subject = models.CharField(max_length=200, blank=True)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    inputs = models.TextField()
    inputs_sha256 = models.CharField("SHA-256 of the inputs", max_length=64)
    layout = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)
    verified_at = models.DateTimeField(null=True)
    verified_intact = models.BooleanField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject", "window_start", "window_end", "inputs_sha256"], name="report_once"
            )
        ]
        indexes = [models.Index(fields=["kind", "-window_start"], name="report_by_kind")]

    def __str__(self) -> str:
        return self.title


class ReportFile(models.Model):
    """One file of a report, kept byte for byte with its SHA-256."""

    report = models.ForeignKey(Report, models.CASCADE, related_name="files")
    file_format = models.CharField(max_length=4, choices=ReportFormat)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    made_with = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["report", "file_format"]
        constraints = [models.UniqueConstraint(fields=["report", "file_format"], name="report_file_once")]

    def __str__(self) -> str:
        return f"{self.report_id}.{self.file_format}"
