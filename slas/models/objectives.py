"""What is promised: services, what is measured of them, and the objectives set on that."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from core.ids import uuid7
from slas.choices import (
    AppliesTo,
    Budgeting,
    CalendarUnit,
    CompositeKind,
    ExclusionCategory,
    NoDataPolicy,
    SliKind,
    SliSource,
    WhenDelayed,
    WindowKind,
)


class Service(models.Model):
    """Something that people or agents depend on; the entity it stands for is named by a pair of words."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    owner = models.CharField(max_length=200, blank=True)
    tier = models.PositiveSmallIntegerField(default=2)
    entity_type = models.CharField(max_length=32, blank=True)
    entity_id = models.CharField(max_length=200, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["entity_type", "entity_id"], name="service_by_entity")]

    def __str__(self) -> str:
        return self.name


class Sli(models.Model):
    """One service level indicator: where its events come from and which of them are good.

    `threshold` and `operator` tell good from bad for values and durations; durations are kept as a histogram, so that
    a new threshold can be asked of the past. `lateness_seconds` is how late an event may arrive and still count.
    Minutes before `minutes_from` (UNIX seconds, a UTC midnight) are no longer kept, only hours and days.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    service = models.ForeignKey(Service, models.PROTECT, related_name="slis")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=SliKind)
    source = models.CharField(max_length=10, choices=SliSource, default=SliSource.PUSH)
    config = models.JSONField(default=dict, blank=True)
    operator = models.CharField(max_length=3, blank=True)
    threshold = models.DecimalField(max_digits=24, decimal_places=9, null=True, blank=True)
    unit = models.CharField(max_length=20, blank=True)
    slice_seconds = models.PositiveIntegerField(null=True, blank=True)
    slice_target = models.DecimalField(max_digits=9, decimal_places=8, null=True, blank=True)
    no_data = models.CharField(max_length=6, choices=NoDataPolicy, default=NoDataPolicy.IGNORE)
    lateness_seconds = models.PositiveIntegerField(default=172_800)
    late_dropped = models.PositiveBigIntegerField(default=0, editable=False)
    minutes_from = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "SLI"
        ordering = ["service", "name", "id"]
        constraints = [models.UniqueConstraint(fields=["service", "slug"], name="sli_once")]

    def __str__(self) -> str:
        return f"{self.service}: {self.name}"


class BudgetPolicy(models.Model):
    """What happens as an error budget is used up."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)

    class Meta:
        verbose_name = "error budget policy"
        verbose_name_plural = "error budget policies"
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Slo(models.Model):
    """One objective: which share of an indicator's events has to be good, over which window.

    What counts now is the latest revision; a new target or window never rewrites what was closed under the old one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    service = models.ForeignKey(Service, models.PROTECT, related_name="slos")
    sli = models.ForeignKey(Sli, models.PROTECT, null=True, blank=True, related_name="slos")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    target = models.DecimalField(max_digits=9, decimal_places=8)
    window = models.CharField(max_length=8, choices=WindowKind, default=WindowKind.ROLLING)
    window_days = models.PositiveSmallIntegerField(null=True, blank=True, default=30)
    calendar_unit = models.CharField(max_length=7, choices=CalendarUnit, blank=True)
    time_zone = models.CharField(max_length=64)
    budgeting = models.CharField(max_length=16, choices=Budgeting, default=Budgeting.OCCURRENCES)
    composite = models.CharField(max_length=9, choices=CompositeKind, blank=True, default=CompositeKind.NONE)
    policy = models.ForeignKey(BudgetPolicy, models.SET_NULL, null=True, blank=True, related_name="slos")
    alerting = models.JSONField(default=dict, blank=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "SLO"
        ordering = ["service", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["service", "slug"], name="slo_once"),
            models.CheckConstraint(
                condition=models.Q(target__gt=Decimal(0), target__lt=Decimal(1)), name="slo_target_is_a_share"
            ),
            models.CheckConstraint(
                condition=models.Q(window=WindowKind.ROLLING, window_days__isnull=False, calendar_unit="")
                | (models.Q(window=WindowKind.CALENDAR, window_days=None) & ~models.Q(calendar_unit="")),
                name="slo_window_is_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(composite="", sli__isnull=False) | (~models.Q(composite="") & models.Q(sli=None)),
                name="slo_measures_or_combines",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.name}"


class SloRevision(models.Model):
    """The terms of an objective from an instant on; closed history is judged by the terms of its time."""

    slo = models.ForeignKey(Slo, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    effective_from = models.DateTimeField()
    terms = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "SLO revision"
        ordering = ["-effective_from", "-number"]
        constraints = [models.UniqueConstraint(fields=["slo", "number"], name="slo_revision_once")]

    def __str__(self) -> str:
        return f"{self.slo_id} revision {self.number}"


class SloComponent(models.Model):
    """One part of a composite objective and its weight."""

    parent = models.ForeignKey(Slo, models.CASCADE, related_name="components")
    child = models.ForeignKey(Slo, models.PROTECT, related_name="composites")
    weight = models.DecimalField(max_digits=9, decimal_places=4, default=Decimal(1))
    when_delayed = models.CharField(max_length=13, choices=WhenDelayed, default=WhenDelayed.IGNORE)

    class Meta:
        verbose_name = "SLO component"
        ordering = ["parent", "id"]
        constraints = [
            models.UniqueConstraint(fields=["parent", "child"], name="slo_component_once"),
            models.CheckConstraint(condition=~models.Q(parent=models.F("child")), name="slo_not_its_own_part"),
            models.CheckConstraint(condition=models.Q(weight__gt=Decimal(0)), name="slo_component_weighs"),
        ]

    def __str__(self) -> str:
        return f"{self.child_id} in {self.parent_id}"


class Exclusion(models.Model):
    """A span that is taken out of what counts, visibly: for a reason, announced or not, by whom approved.

    Blank scopes mean everything. With a recurrence (an RRULE line) the span repeats in the time zone it names. It is in
    force once it is approved; `estimated` says that part of it was taken out pro rata, of hours whose minutes are gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    service = models.ForeignKey(Service, models.PROTECT, null=True, blank=True, related_name="exclusions")
    sli = models.ForeignKey(Sli, models.PROTECT, null=True, blank=True, related_name="exclusions")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    recurrence = models.CharField(max_length=300, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    category = models.CharField(max_length=13, choices=ExclusionCategory)
    applies_to = models.CharField(max_length=4, choices=AppliesTo, default=AppliesTo.BOTH)
    reason = models.CharField(max_length=500)
    announced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    approved_by = models.CharField(max_length=200, blank=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    estimated = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="exclusion_has_length")
        ]

    def __str__(self) -> str:
        return self.reason[:80]
