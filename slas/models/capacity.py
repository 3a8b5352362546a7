"""Resources that run out: what is measured of them each day, and when their limit is expected to be reached."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from core.ids import uuid7
from slas.choices import DailyStatistic


class CapacityResource(models.Model):
    """Something with a limit, measured by a metric of this platform.

    `headroom_ratio` is the share of the limit that has to stay free; `lead_days` is how long getting more takes: when
    the usable limit may be reached sooner than that, somebody is told.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    metric = models.CharField(max_length=100)
    labels = models.JSONField(default=dict, blank=True)
    statistic = models.CharField(max_length=7, choices=DailyStatistic, default=DailyStatistic.P95)
    limit = models.DecimalField(max_digits=24, decimal_places=6, validators=[MinValueValidator(Decimal("0.000001"))])
    headroom_ratio = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default=Decimal("0.2"),
        validators=[MinValueValidator(0), MaxValueValidator(Decimal("0.99"))],
    )
    lead_days = models.PositiveSmallIntegerField(default=30)
    enabled = models.BooleanField(default=True)
    measured_until = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(limit__gt=Decimal(0)), name="capacity_limit_is_positive"),
            models.CheckConstraint(
                condition=models.Q(headroom_ratio__gte=Decimal(0), headroom_ratio__lt=Decimal(1)),
                name="capacity_headroom_is_a_share",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CapacitySample(models.Model):
    """One day of one resource in the organisation's time zone, from its hourly readings (kept by the UTC hour)."""

    resource = models.ForeignKey(CapacityResource, models.CASCADE, related_name="samples", db_index=False)
    day = models.DateField()
    readings = models.JSONField(default=dict)
    p50 = models.FloatField()
    p95 = models.FloatField()
    maximum = models.FloatField()
    total = models.FloatField()

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["resource", "day"], name="capacity_sample_once")]

    def __str__(self) -> str:
        return f"{self.resource_id} on {self.day}"


class CapacityForecast(models.Model):
    """What was expected of one resource on one day: when the usable limit is reached, and the coming demand.

    Days are counted from `day`; blank means not within ten years. `demand` is the forecast of the next days with its
    back-test, or empty while there are fewer than six unbroken weeks.
    """

    resource = models.ForeignKey(CapacityResource, models.CASCADE, related_name="forecasts", db_index=False)
    day = models.DateField()
    level = models.FloatField()
    slope = models.FloatField()
    slope_low = models.FloatField()
    slope_high = models.FloatField()
    days_earliest = models.FloatField(null=True)
    days_expected = models.FloatField(null=True)
    days_latest = models.FloatField(null=True)
    history_days = models.PositiveSmallIntegerField()
    demand = models.JSONField(default=dict)

    class Meta:
        ordering = ["-day", "-id"]
        constraints = [models.UniqueConstraint(fields=["resource", "day"], name="capacity_forecast_once")]

    def __str__(self) -> str:
        return f"{self.resource_id} as of {self.day}"
