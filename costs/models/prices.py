"""The price book: what a unit of anything cost, from when to when, by whose word."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.ids import uuid7
from core.money import ZERO, MoneyField
from costs.choices import CostType, PriceMode, PriceVersionStatus, QueueStatus, ServiceTier


class Sku(models.Model):
    """One thing that is priced: a model of a provider, a tool, an instance type."""

    provider = models.CharField(max_length=64)
    code = models.CharField(max_length=160)
    cost_type = models.CharField(max_length=32, choices=CostType, default=CostType.LLM_API)
    name = models.CharField(max_length=200, blank=True)
    context_window = models.PositiveBigIntegerField(null=True, blank=True)
    max_output_tokens = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = "SKU"
        ordering = ["provider", "code", "id"]
        constraints = [models.UniqueConstraint(fields=["provider", "code"], name="sku_once")]

    def __str__(self) -> str:
        return f"{self.provider}/{self.code}"


class SkuAlias(models.Model):
    """Another name of a SKU. Exact names win over patterns, an operator's over a built-in one, long over short.

    A blank provider stands for any. Patterns are compared in lower case.
    """

    class Kind(models.TextChoices):
        """How the pattern is compared with a model's name."""

        EXACT = "exact"
        PREFIX = "prefix"
        SUFFIX = "suffix"
        CONTAINS = "contains"
        REGEX = "regex"

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="aliases")
    provider = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.EXACT)
    pattern = models.CharField(max_length=200)
    built_in = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = "SKU alias"
        verbose_name_plural = "SKU aliases"
        ordering = ["provider", "pattern", "id"]
        constraints = [models.UniqueConstraint(fields=["provider", "kind", "pattern"], name="sku_alias_once")]

    def __str__(self) -> str:
        return f"{self.provider}/{self.pattern}"


class PriceBook(models.Model):
    """A set of prices: a provider's public list, or what was negotiated. The highest priority wins."""

    class Kind(models.TextChoices):
        """Whose prices they are (FOCUS: list, contracted)."""

        LIST = "list"
        CONTRACTED = "contracted"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.LIST)
    currency = models.CharField(max_length=8, default="USD")
    priority = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-priority", "name", "id"]

    def __str__(self) -> str:
        return self.name


class PriceVersion(models.Model):
    """All prices of one SKU, tier and region from one instant (included) to another (not included).

    Once approved its prices never change, which the database holds too; it can only end earlier or be retired. Of
    one book, SKU, tier and region no two approved versions are valid at once. A price without an author was read
    from a source.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    book = models.ForeignKey(PriceBook, models.PROTECT, related_name="versions")
    sku = models.ForeignKey(Sku, models.PROTECT, related_name="price_versions")
    service_tier = models.CharField(max_length=10, choices=ServiceTier, default=ServiceTier.STANDARD)
    region = models.CharField(max_length=40, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=PriceVersionStatus, default=PriceVersionStatus.DRAFT)
    source = models.CharField(max_length=80)
    source_ref = models.CharField(max_length=300, blank=True)
    content_hash = models.CharField(max_length=64)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["sku", "service_tier", "-valid_from", "-id"]
        indexes = [models.Index(fields=["sku", "service_tier", "valid_from"], name="price_version_by_sku")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True)
                | models.Q(valid_from__isnull=True)
                | models.Q(valid_to__gt=models.F("valid_from")),
                name="price_version_ends_after_start",
            )
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.service_tier}"


class PriceComponent(models.Model):
    """What one meter costs within a version: `unit_price` for every `per` units, or tiers of it.

    `tiers` is a list of {"from": units, "price": decimal text, "flat": decimal text}; `threshold_meter` names the
    meter whose quantity chooses the tier; `time_window` restricts to hours of the day, {"start", "end"} in UTC.
    """

    version = models.ForeignKey(PriceVersion, models.CASCADE, related_name="components")
    meter = models.CharField(max_length=40)
    per = models.PositiveIntegerField(default=1_000_000)
    unit_price = MoneyField()
    mode = models.CharField(max_length=14, choices=PriceMode, default=PriceMode.FLAT)
    tiers = models.JSONField(default=list, blank=True)
    threshold_meter = models.CharField(max_length=40, blank=True)
    time_window = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["version", "meter", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(unit_price__gte=ZERO), name="price_is_not_negative"),
            models.CheckConstraint(condition=models.Q(per__gt=0), name="price_is_per_something"),
        ]

    def __str__(self) -> str:
        return f"{self.meter} {self.unit_price}/{self.per}"


class PriceSyncRun(models.Model):
    """One reading of the price sources: what came in, what changed, what waits for a person."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    sources = models.JSONField(default=dict)
    created_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    waiting_count = models.PositiveIntegerField(default=0)
    discrepancy_count = models.PositiveIntegerField(default=0)
    rounded_count = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"price sync of {self.started_at:%Y-%m-%d %H:%M}"


class PriceDiscrepancy(models.Model):
    """Two sources that name different prices for the same thing; a person decides, nobody averages.

    `meter` may carry a threshold ("input_tokens > 200000"). Prices are for as many units as the used component's.
    """

    sku = models.ForeignKey(Sku, models.CASCADE, related_name="discrepancies")
    service_tier = models.CharField(max_length=10, choices=ServiceTier, default=ServiceTier.STANDARD)
    meter = models.CharField(max_length=40)
    used_source = models.CharField(max_length=80)
    used_price = MoneyField()
    other_source = models.CharField(max_length=80)
    other_price = MoneyField()
    status = models.CharField(max_length=10, choices=QueueStatus, default=QueueStatus.OPEN)
    found_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "price discrepancies"
        ordering = ["status", "sku", "meter", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["sku", "service_tier", "meter", "other_source"], name="price_discrepancy_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.meter}"


class PriceEpoch(models.Model):
    """One row whose number rises with every change of the price book: compiled prices know when they are old."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
