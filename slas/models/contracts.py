"""What was promised to customers: contracts with their tiers and revisions, and what each period came to."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from core.ids import uuid7
from core.money import MoneyField
from slas.choices import CalendarUnit, ContractMetric, PeriodStatus
from slas.models.objectives import Service, Sli


class Customer(models.Model):
    """Somebody who was promised a level of service, with the person to tell."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    contact_name = models.CharField(max_length=200, blank=True)
    contact_email = models.EmailField(blank=True)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class SLAContract(models.Model):
    """What one customer was promised of one service, per calendar period in the contract's own time zone.

    The columns are the latest terms; what a period is judged by is the revision in force when it begins. `error_share`
    is the share of bad events above which a minute is down, `min_consecutive_minutes` how many such minutes in a row
    it takes. The fee is per period: an amount, or the sum of a metric of the platform over the period.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="contracts")
    service = models.ForeignKey(Service, models.PROTECT, related_name="contracts")
    sli = models.ForeignKey(Sli, models.PROTECT, related_name="contracts", verbose_name="indicator")
    name = models.CharField(max_length=200)
    reference = models.CharField(max_length=100, blank=True)
    period_unit = models.CharField(max_length=7, choices=CalendarUnit, default=CalendarUnit.MONTH)
    time_zone = models.CharField(max_length=64)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    metric = models.CharField(max_length=16, choices=ContractMetric, default=ContractMetric.DOWNTIME_MINUTES)
    error_share = models.DecimalField(max_digits=9, decimal_places=8, default=Decimal("0.05"))
    min_consecutive_minutes = models.PositiveSmallIntegerField(default=1)
    notice_hours = models.PositiveIntegerField(default=72)
    max_excluded_minutes = models.PositiveIntegerField(null=True, blank=True)
    cap_percent = models.DecimalField(max_digits=7, decimal_places=4, default=Decimal(100))
    claim_days = models.PositiveSmallIntegerField(default=30)
    provisional_days = models.PositiveSmallIntegerField(default=3)
    currency = models.CharField(max_length=8)
    fee = MoneyField(null=True, blank=True)
    fee_metric = models.CharField(max_length=100, blank=True)
    fee_labels = models.JSONField(default=dict, blank=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "SLA contract"
        ordering = ["customer", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["customer", "name"], name="contract_once"),
            models.CheckConstraint(
                condition=models.Q(ends_on=None) | models.Q(ends_on__gt=models.F("starts_on")),
                name="contract_has_length",
                violation_error_message="A contract ends after it begins.",
            ),
            models.CheckConstraint(
                condition=models.Q(fee__isnull=False, fee_metric="") | (models.Q(fee=None) & ~models.Q(fee_metric="")),
                name="contract_has_one_fee",
                violation_error_message="Give either a fee or the metric it is read from.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.name}"


class SLATier(models.Model):
    """Below this availability (percent) so many percent of the fee are credited; the latest terms of a contract."""

    contract = models.ForeignKey(SLAContract, models.CASCADE, related_name="tiers")
    below = models.DecimalField(max_digits=9, decimal_places=6)
    credit_percent = models.DecimalField(max_digits=7, decimal_places=4)

    class Meta:
        verbose_name = "SLA tier"
        ordering = ["contract", "-below"]
        constraints = [
            models.UniqueConstraint(fields=["contract", "below"], name="sla_tier_once"),
            models.CheckConstraint(condition=models.Q(below__gt=0, below__lte=100), name="sla_tier_is_percent"),
            models.CheckConstraint(
                condition=models.Q(credit_percent__gt=0, credit_percent__lte=100), name="sla_credit_is_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"below {self.below.normalize():f} % credits {self.credit_percent.normalize():f} %"


class SLAContractRevision(models.Model):
    """The terms of a contract, tiers included, for the periods that begin at `effective_from` or later."""

    contract = models.ForeignKey(SLAContract, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    effective_from = models.DateTimeField()
    terms = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "SLA contract revision"
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["contract", "number"], name="contract_revision_once")]

    def __str__(self) -> str:
        return f"{self.contract_id} revision {self.number}"


class SLAPeriod(models.Model):
    """What one period of a contract came to.

    `good` of `total` are events or minutes, by the contract's metric, after exclusions; `raw_*` before. They are kept
    whole, so the availability is never rounded before it is held against a tier. Open and provisional periods follow
    late data and exclusions; from `final` on no number changes. `credit` is what the terms come to, computed with the
    step to final; `settled_credit` is what was in fact credited, which may differ after a dispute.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contract = models.ForeignKey(SLAContract, models.PROTECT, related_name="periods")
    start = models.DateTimeField()
    end = models.DateTimeField()
    status = models.CharField(max_length=11, choices=PeriodStatus, default=PeriodStatus.OPEN)
    revision = models.PositiveIntegerField(default=1)
    evaluated_at = models.DateTimeField(null=True)
    counted_until = models.DateTimeField(null=True)
    raw_good = models.BigIntegerField(default=0)
    raw_total = models.BigIntegerField(default=0)
    good = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    excluded_minutes = models.PositiveIntegerField(default=0)
    unmeasured_minutes = models.PositiveIntegerField(default=0)
    exclusions = models.JSONField(default=list)
    currency = models.CharField(max_length=8)
    fee = MoneyField(null=True)
    credit_percent = models.DecimalField(max_digits=7, decimal_places=4, null=True)
    credit = MoneyField(null=True)
    note = models.CharField(max_length=500, blank=True)
    final_at = models.DateTimeField(null=True)
    status_at = models.DateTimeField()
    status_by = models.CharField(max_length=200, blank=True)
    status_reason = models.CharField(max_length=500, blank=True)
    settled_credit = MoneyField(null=True)
    credit_reference = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name = "SLA period"
        ordering = ["-start", "-id"]
        permissions = [("credit_slaperiod", "Can mark the credit of an SLA period as given")]
        constraints = [
            models.UniqueConstraint(fields=["contract", "start"], name="sla_period_once"),
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="sla_period_has_length"),
            models.CheckConstraint(
                condition=models.Q(status__in=[PeriodStatus.OPEN, PeriodStatus.PROVISIONAL])
                | models.Q(credit__isnull=False, final_at__isnull=False),
                name="sla_period_final_has_credit",
            ),
        ]
        indexes = [models.Index(fields=["status", "end"], name="sla_period_by_status")]

    def __str__(self) -> str:
        return f"{self.contract} from {self.start:%Y-%m-%d}"


class DowntimeDay(models.Model):
    """The minutes of one UTC day in which an indicator was measured, and those in which too much of it was bad.

    Spans are pairs of minutes since midnight, half-open. They outlive the minute buckets they are made from, so a
    contract's month stays exact. `resolution` is 3600 where only hours were left when the day was first looked at.
    """

    sli = models.ForeignKey(Sli, models.CASCADE, related_name="downtime_days")
    day = models.DateField()
    error_share = models.DecimalField(max_digits=9, decimal_places=8)
    resolution = models.PositiveIntegerField(default=60)
    measured = models.JSONField(default=list)
    bad = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    class Meta:
        verbose_name = "downtime day"
        ordering = ["sli", "day"]
        constraints = [models.UniqueConstraint(fields=["sli", "day", "error_share"], name="downtime_day_once")]

    def __str__(self) -> str:
        return f"{self.sli_id} on {self.day}"
