"""Budgets, their periods and the money set aside in them."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from core.ids import uuid7
from core.money import ZERO, MoneyField
from costs.amounts import exact_percent
from costs.choices import BudgetMode, BudgetPeriodKind, CostType, ReservationStatus, ThresholdBasis
from costs.models.entities import Entity


class Budget(models.Model):
    """A limit per calendar period on what a scope spends; all that is left blank in the scope means everything.

    A budget on an entity covers everything below it. Amounts are in the budget's own currency: an event in the same
    currency counts as it is, any other by its frozen base amount and the rate frozen on the period.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    entity = models.ForeignKey(Entity, models.PROTECT, null=True, blank=True, related_name="budgets")
    cost_type = models.CharField(max_length=32, choices=CostType, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=160, blank=True)
    currency = models.CharField(max_length=8)
    period = models.CharField(max_length=10, choices=BudgetPeriodKind, default=BudgetPeriodKind.MONTHLY)
    anchor = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(31)])
    time_zone = models.CharField(max_length=64)
    mode = models.CharField(max_length=8, choices=BudgetMode, default=BudgetMode.SOFT)
    active = models.BooleanField(default=True, help_text="A paused budget still counts; it neither refuses nor warns.")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["entity", "active"], name="budget_by_entity")]

    def __str__(self) -> str:
        return self.name


class BudgetRevision(models.Model):
    """The amount of a budget from an instant on, for a reason; with an end it is a temporary raise.

    In force is the latest amount without an end, or a temporary raise above it for as long as that lasts.
    """

    budget = models.ForeignKey(Budget, models.CASCADE, related_name="revisions")
    amount = MoneyField()
    effective_from = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-effective_from", "-id"]
        indexes = [models.Index(fields=["budget", "-effective_from"], name="budget_revision_latest")]
        constraints = [models.CheckConstraint(condition=models.Q(amount__gte=ZERO), name="budget_is_not_negative")]

    def __str__(self) -> str:
        return f"{self.amount} from {self.effective_from:%Y-%m-%d}"


class BudgetPeriod(models.Model):
    """One calendar period of one budget: what may be, what was, and what is about to be spent. Made when first needed.

    `rate` is how many units of the budget's currency one unit of the base currency was worth when the period began.
    `limit` holds until `limit_until` (a temporary raise ends, or a revision begins), then follows the revisions again.
    `overrun` is what went past the limit of a hard budget without having been set aside:
    spent + reserved <= limit + overrun at every instant, as long as the limit is not lowered.
    """

    budget = models.ForeignKey(Budget, models.CASCADE, related_name="periods")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    limit = MoneyField()
    limit_until = models.DateTimeField(null=True)
    spent = MoneyField(default=ZERO)
    reserved = MoneyField(default=ZERO)
    overrun = MoneyField(default=ZERO)
    rate = MoneyField(default=Decimal(1))

    class Meta:
        ordering = ["-start_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "start_at"], name="budget_period_once"),
            models.CheckConstraint(condition=models.Q(reserved__gte=ZERO), name="budget_reserved_not_negative"),
            models.CheckConstraint(
                condition=models.Q(end_at__gt=models.F("start_at")), name="budget_period_has_length"
            ),
        ]
        # The period of an instant, however many have passed: those that end after it, of which there are one or two.
        indexes = [models.Index(fields=["budget", "end_at"], name="budget_period_by_end")]

    def __str__(self) -> str:
        return f"{self.budget} {self.start_at:%Y-%m-%d}"


class BudgetThreshold(models.Model):
    """A share of the budget at which somebody is told: once per period."""

    budget = models.ForeignKey(Budget, models.CASCADE, related_name="thresholds")
    ratio = models.DecimalField(max_digits=6, decimal_places=4, validators=[MinValueValidator(0)])
    basis = models.CharField(max_length=8, choices=ThresholdBasis, default=ThresholdBasis.ACTUAL)
    severity = models.CharField(max_length=8, default="medium")

    class Meta:
        ordering = ["budget", "ratio", "id"]
        constraints = [models.UniqueConstraint(fields=["budget", "ratio", "basis"], name="budget_threshold_once")]

    def __str__(self) -> str:
        return f"{exact_percent(self.ratio)} of {self.basis}"


class ThresholdFiring(models.Model):
    """A threshold was passed in a period under a limit; the unique open row decides who tells.

    A raise of the budget closes it, so that the threshold may be passed again under the new limit.
    """

    period = models.ForeignKey(BudgetPeriod, models.CASCADE, related_name="firings")
    threshold = models.ForeignKey(BudgetThreshold, models.CASCADE, related_name="firings")
    fired_at = models.DateTimeField()
    value = MoneyField()
    limit = MoneyField(default=ZERO)
    cleared_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-fired_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "threshold"], condition=models.Q(cleared_at=None), name="threshold_fires_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.threshold} at {self.fired_at:%Y-%m-%d %H:%M}"


class Reservation(models.Model):
    """Money set aside before a call: settled with what the call cost, released, or expired and settled late.

    `event` is the one cost event that settled it; `overrun` is what that event cost beyond `amount`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.UUIDField()
    key = models.CharField(max_length=200)
    content_hash = models.UUIDField()
    status = models.CharField(max_length=8, choices=ReservationStatus, default=ReservationStatus.PENDING)
    entity = models.ForeignKey(Entity, models.PROTECT, related_name="reservations")
    cost_type = models.CharField(max_length=32, choices=CostType)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=160, blank=True)
    amount = MoneyField()
    currency = models.CharField(max_length=8)
    actual = MoneyField(null=True)
    overrun = MoneyField(default=ZERO)
    event = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="reservation_key_once"),
            models.CheckConstraint(condition=models.Q(amount__gte=ZERO), name="reservation_is_not_negative"),
        ]
        indexes = [
            # What the expiry sweep looks for.
            models.Index(fields=["expires_at"], name="reservation_pending", condition=models.Q(status="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.entity_id}"


class ReservationLine(models.Model):
    """What a reservation holds in one budget period, in the budget's currency."""

    reservation = models.ForeignKey(Reservation, models.CASCADE, db_index=False, related_name="lines")
    period = models.ForeignKey(BudgetPeriod, models.PROTECT, related_name="lines")
    amount = MoneyField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reservation", "period"], name="reservation_line_once")]

    def __str__(self) -> str:
        return f"{self.amount} in {self.period_id}"
