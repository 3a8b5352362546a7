"""Who spends (entities and their hierarchy), in which currency and at which rate."""

from __future__ import annotations

from django.db import models


class Currency(models.Model):
    """A currency that amounts may be in: ISO 4217 or virtual (credits)."""

    code = models.CharField(max_length=8, primary_key=True)
    name = models.CharField(max_length=80)
    minor_units = models.PositiveSmallIntegerField(default=2)
    virtual = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "currencies"
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code


class FxRate(models.Model):
    """One unit of `base` was worth `rate` units of `quote` on that date. Never edited: a later row supersedes it."""

    base = models.CharField(max_length=8)
    quote = models.CharField(max_length=8)
    rate = models.DecimalField(max_digits=24, decimal_places=12)
    as_of_date = models.DateField()
    source = models.CharField(max_length=80)
    recorded_at = models.DateTimeField()

    class Meta:
        verbose_name = "exchange rate"
        ordering = ["-as_of_date", "base", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["base", "quote", "as_of_date", "source"], name="fx_rate_once_a_day"),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="fx_rate_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.base}/{self.quote} {self.as_of_date}"


class CostCenter(models.Model):
    """Where finance books what an entity spends."""

    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=120)
    gl_account = models.CharField("general ledger account", max_length=32, blank=True)

    class Meta:
        verbose_name = "cost centre"
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Entity(models.Model):
    """Anything that spends: an agent, workflow, team, user, tenant or experiment. Made when it is first seen."""

    entity_type = models.CharField(max_length=32)
    entity_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    cost_center = models.ForeignKey(CostCenter, models.PROTECT, null=True, blank=True, related_name="entities")
    demo = models.BooleanField(default=False, editable=False)
    first_seen_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name_plural = "entities"
        ordering = ["entity_type", "entity_id", "id"]
        constraints = [models.UniqueConstraint(fields=["entity_type", "entity_id"], name="entity_once")]

    def __str__(self) -> str:
        return self.name or f"{self.entity_type}:{self.entity_id}"


class EntityClosure(models.Model):
    """Every ancestor of every entity, itself included (depth 0): a budget on a team covers its agents by one join."""

    ancestor = models.ForeignKey(Entity, models.CASCADE, related_name="descendant_links")
    descendant = models.ForeignKey(Entity, models.CASCADE, related_name="ancestor_links")
    depth = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["descendant", "ancestor"], name="entity_closure_once"),
        ]

    def __str__(self) -> str:
        return f"{self.ancestor_id} > {self.descendant_id}"
