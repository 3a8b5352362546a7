"""How objectives stand, how they stood day by day, and what their budget policies did about it."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from core.ids import uuid7
from core.leases import Leased
from slas.choices import PolicyAction, SloState
from slas.models.objectives import BudgetPolicy, Slo


class SloStatus(models.Model):
    """How an objective stood at the last evaluation; `as_of` is the end of the last whole minute.

    `good` and `total` are after exclusions, `raw_*` before; for composites they are empty and `sli` alone is known.
    `consumed` is the share of the error budget that is used up, more than 1 when it is exhausted. `burn` maps windows
    in seconds to burn rates. `no_data` never shows a ratio.
    """

    slo = models.OneToOneField(Slo, models.CASCADE, primary_key=True, related_name="status")
    as_of = models.DateTimeField()
    revision = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=SloState, default=SloState.NO_DATA)
    since = models.DateTimeField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    good = models.BigIntegerField(null=True)
    total = models.BigIntegerField(null=True)
    raw_good = models.BigIntegerField(null=True)
    raw_total = models.BigIntegerField(null=True)
    sli = models.DecimalField(max_digits=13, decimal_places=12, null=True)
    consumed = models.DecimalField(max_digits=24, decimal_places=9, null=True)
    budget_events = models.DecimalField(max_digits=24, decimal_places=3, null=True)
    burn = models.JSONField(default=dict)
    firing = models.CharField(max_length=40, blank=True)
    exhausted_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "SLO status"
        verbose_name_plural = "SLO statuses"
        ordering = ["slo"]

    def __str__(self) -> str:
        return f"{self.slo_id} {self.state}"


class SloSnapshot(models.Model):
    """One calendar day of an objective, in its time zone: what was counted on it, and what was left when it ended.

    It follows late events until it is frozen, `lateness_seconds` of its indicator after the day; from then on it never
    changes, whatever becomes of targets and exclusions. The terms are those that were in force at the day's end.
    """

    slo = models.ForeignKey(Slo, models.CASCADE, related_name="snapshots")
    day = models.DateField()
    good = models.BigIntegerField(null=True)
    total = models.BigIntegerField(null=True)
    raw_good = models.BigIntegerField(null=True)
    raw_total = models.BigIntegerField(null=True)
    sli = models.DecimalField(max_digits=13, decimal_places=12, null=True)
    window_sli = models.DecimalField(max_digits=13, decimal_places=12, null=True)
    consumed = models.DecimalField(max_digits=24, decimal_places=9, null=True)
    state = models.CharField(max_length=9, choices=SloState)
    target = models.DecimalField(max_digits=9, decimal_places=8)
    revision = models.PositiveIntegerField()
    taken_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "SLO snapshot"
        ordering = ["-day", "slo"]
        constraints = [models.UniqueConstraint(fields=["slo", "day"], name="slo_snapshot_once")]
        indexes = [models.Index(fields=["frozen_at", "day"], name="slo_snapshot_to_freeze")]

    def __str__(self) -> str:
        return f"{self.slo_id} on {self.day}"


class BudgetPolicyStep(models.Model):
    """What a policy does once this share of the error budget is used up: 1 is all of it."""

    policy = models.ForeignKey(BudgetPolicy, models.CASCADE, related_name="steps")
    consumed_from = models.DecimalField(max_digits=9, decimal_places=4)
    action = models.CharField(max_length=8, choices=PolicyAction)
    message = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["policy", "consumed_from", "id"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "consumed_from", "action"], name="policy_step_once"),
            models.CheckConstraint(condition=models.Q(consumed_from__gt=Decimal(0)), name="policy_step_above_zero"),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.consumed_from:%}"


class PolicyStepFiring(models.Model):
    """One time that a step of a policy took effect for an objective, until its budget recovered.

    For freezes and required approvals this is what other systems ask for; a second person may lift one for a while.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slo = models.ForeignKey(Slo, models.CASCADE, related_name="step_firings")
    step = models.ForeignKey(BudgetPolicyStep, models.SET_NULL, null=True, related_name="firings")
    action = models.CharField(max_length=8, choices=PolicyAction)
    consumed_from = models.DecimalField(max_digits=9, decimal_places=4)
    consumed = models.DecimalField(max_digits=24, decimal_places=9)
    message = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    lifted_until = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "budget policy firing"
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["slo", "step"], condition=models.Q(ended_at=None), name="policy_step_fires_once"
            )
        ]
        indexes = [models.Index(fields=["action", "ended_at"], name="policy_firing_by_action")]

    def __str__(self) -> str:
        return f"{self.action} of {self.slo_id} since {self.started_at:%Y-%m-%d %H:%M}"


class SourceReading(Leased):
    """When an indicator's own source was last read, up to where, and why the last reading failed, if it did."""

    sli = models.OneToOneField("slas.Sli", models.CASCADE, primary_key=True, related_name="reading")
    next_at = models.DateTimeField(db_index=True)
    read_until = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "source reading"
        ordering = ["next_at", "sli"]

    def __str__(self) -> str:
        return f"{self.sli_id} next at {self.next_at:%H:%M}"
