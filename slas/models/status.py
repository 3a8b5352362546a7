"""Public status pages: what people put on them, and nothing else."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from core.ids import uuid7
from slas.choices import Impact, IncidentStage
from slas.models.objectives import Exclusion, Slo

MANUAL_IMPACTS = [
    (value, label)
    for value, label in Impact.choices
    if value in {Impact.OPERATIONAL, Impact.DEGRADED, Impact.PARTIAL, Impact.MAJOR}
]


class StatusPage(models.Model):
    """A page for everybody, without a login. Nothing of it can be seen until it is published.

    The page at /status is the one marked as main. With `propose_incidents`, conditions about a component's service
    are written down as proposals that nobody outside sees until a person publishes one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    description = models.CharField(max_length=500, blank=True)
    time_zone = models.CharField(max_length=64)
    main = models.BooleanField("shown at /status", default=False)
    propose_incidents = models.BooleanField(default=True)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(fields=["main"], condition=models.Q(main=True), name="one_main_status_page")
        ]

    def __str__(self) -> str:
        return self.title


class StatusComponent(models.Model):
    """One line of a status page under a name of its own; its bars and state come from an objective, if it has one.

    Below `degraded_below` percent of good events in the last ten minutes it is degraded, below `outage_below` it is
    out. `forced` overrides what is measured.
    """

    page = models.ForeignKey(StatusPage, models.CASCADE, related_name="components")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=500, blank=True)
    section = models.CharField(max_length=100, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    slo = models.ForeignKey(Slo, models.PROTECT, null=True, blank=True, related_name="status_components")
    degraded_below = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(99))
    outage_below = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(50))
    forced = models.CharField(max_length=11, choices=MANUAL_IMPACTS, blank=True)

    class Meta:
        verbose_name = "component"
        ordering = ["page", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["page", "slug"], name="status_component_once"),
            models.CheckConstraint(
                condition=models.Q(degraded_below__gte=models.F("outage_below")), name="status_outage_is_worse"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StatusIncident(models.Model):
    """Something that people are told about: begun, updated, resolved. A proposal until it is published.

    `proposed_from` names the condition that it was proposed for; it never leaves the platform.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    page = models.ForeignKey(StatusPage, models.CASCADE, related_name="incidents")
    title = models.CharField(max_length=200)
    impact = models.CharField(max_length=11, choices=MANUAL_IMPACTS, default=Impact.DEGRADED)
    components = models.ManyToManyField(StatusComponent, related_name="incidents", blank=True)
    stage = models.CharField(max_length=13, choices=IncidentStage, default=IncidentStage.INVESTIGATING)
    started_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    proposed_from = models.CharField(max_length=310, blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "public incident"
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["page", "proposed_from"],
                condition=models.Q(resolved_at=None) & ~models.Q(proposed_from=""),
                name="status_incident_proposed_once",
            )
        ]
        indexes = [models.Index(fields=["page", "-started_at"], name="status_incident_by_page")]

    def __str__(self) -> str:
        return self.title


class StatusUpdate(models.Model):
    """What was said about a public incident, when and by whom; never changed."""

    incident = models.ForeignKey(StatusIncident, models.CASCADE, related_name="updates")
    stage = models.CharField(max_length=13, choices=IncidentStage)
    text = models.TextField(max_length=5000)
    at = models.DateTimeField()
    written_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "status update"
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.get_stage_display()}: {self.text[:60]}"


class StatusMaintenance(models.Model):
    """Scheduled maintenance in words for the public; its times are those of an exclusion, which may come back."""

    page = models.ForeignKey(StatusPage, models.CASCADE, related_name="maintenance")
    exclusion = models.ForeignKey(Exclusion, models.CASCADE, related_name="announcements")
    title = models.CharField(max_length=200)
    text = models.TextField(max_length=5000, blank=True)
    components = models.ManyToManyField(StatusComponent, related_name="maintenance", blank=True)

    class Meta:
        verbose_name = "scheduled maintenance"
        verbose_name_plural = "scheduled maintenance"
        ordering = ["page", "id"]
        constraints = [models.UniqueConstraint(fields=["page", "exclusion"], name="status_maintenance_once")]

    def __str__(self) -> str:
        return self.title
