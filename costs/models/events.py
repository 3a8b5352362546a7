"""The ledger: cost events that never change, and the rollups folded from them."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from core.models import AppendOnlyModel
from core.money import ZERO, MoneyField
from costs.choices import CostType, EventClass, PriceStatus, QueueStatus, RejectKind, ServiceTier
from costs.models.entities import Entity
from costs.querysets import CostEventQuerySet, FoldedQuerySet


class CostEvent(AppendOnlyModel):
    """One cost at one instant. A correction is another event that reverses or adjusts this one.

    On PostgreSQL the table is partitioned by month of `occurred_at` and carries `txid`, the transaction that wrote the
    row, from which rollups are folded without missing rows that commit out of order. The entity has no database
    constraint: entities are never deleted, and checking each row would double the price of writing it.

    Every total is a plain sum over rows: `event_count`, `unpriced_count` and `unconverted_count` say what this row
    adds to the number of events, of events without an amount and of amounts without a base amount. A usage event adds
    one, its reversal takes one away, and an adjustment that answers an open question takes away that question.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    entity = models.ForeignKey(Entity, models.PROTECT, db_constraint=False, db_index=False, related_name="cost_events")
    cost_type = models.CharField(max_length=32)
    event_class = models.CharField(
        max_length=10, choices=EventClass, default=EventClass.USAGE, db_default=EventClass.USAGE
    )
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=160, blank=True)
    service_tier = models.CharField(max_length=10, choices=ServiceTier, default=ServiceTier.STANDARD)
    region = models.CharField(max_length=40, blank=True)
    quantities = models.JSONField(default=dict)
    input_tokens = models.BigIntegerField(default=0, db_default=0)
    output_tokens = models.BigIntegerField(default=0, db_default=0)
    amount = MoneyField(null=True)
    currency = models.CharField(max_length=8)
    base_amount = MoneyField(null=True)
    fx_rate = models.ForeignKey(
        "costs.FxRate", models.PROTECT, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    list_amount = MoneyField(null=True)
    price_status = models.CharField(max_length=8, choices=PriceStatus)
    price_version = models.ForeignKey(
        "costs.PriceVersion", models.PROTECT, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    breakdown = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    trace_id = models.CharField(max_length=32, blank=True)
    span_id = models.CharField(max_length=16, blank=True)
    session_id = models.CharField(max_length=200, blank=True)
    reservation = models.UUIDField(null=True)
    adjusts = models.UUIDField(null=True)
    source = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=200, blank=True)
    event_count = models.SmallIntegerField(default=1, db_default=1)
    unpriced_count = models.SmallIntegerField(default=0, db_default=0)
    unconverted_count = models.SmallIntegerField(default=0, db_default=0)

    objects = CostEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # Totals, series and breakdowns of one entity over a window; drill-down of a budget.
            models.Index(fields=["entity", "occurred_at"], name="cost_event_by_entity"),
            # What the price resolution still has to look at: a few rows of a large table.
            models.Index(fields=["id"], name="cost_event_unpriced", condition=models.Q(price_status="unpriced")),
            models.Index(
                fields=["id"],
                name="cost_event_unconverted",
                condition=models.Q(base_amount__isnull=True, amount__isnull=False),
            ),
            # Whether an event was adjusted already.
            models.Index(fields=["adjusts"], name="cost_event_adjusts", condition=models.Q(adjusts__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.cost_type} {self.amount} {self.currency}"


class EventKey(models.Model):
    """Makes an idempotency key unique over all partitions and says what was recorded under it, for ever.

    `digest` is the first half of SHA-256 over source and key; `content_hash` the same over the event's content.
    """

    digest = models.UUIDField(primary_key=True)
    content_hash = models.UUIDField()
    event = models.UUIDField()
    occurred_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.digest)


class EntityDayRollup(models.Model):
    """What one entity spent on one day of the organisation's time zone, by cost type and currency."""

    day = models.DateField()
    entity = models.ForeignKey(Entity, models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    cost_type = models.CharField(max_length=32)
    currency = models.CharField(max_length=8)
    amount = MoneyField(default=ZERO)
    base_amount = MoneyField(default=ZERO)
    event_count = models.BigIntegerField(default=0)
    unpriced_count = models.BigIntegerField(default=0)
    unconverted_count = models.BigIntegerField(default=0)

    objects = FoldedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "day", "cost_type", "currency"], name="entity_day_once")
        ]
        indexes = [models.Index(fields=["day"], name="entity_day_by_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.entity_id} {self.cost_type}"


class ModelHourRollup(models.Model):
    """What one model of one provider cost in one hour (UTC), over all entities, with its tokens."""

    hour = models.DateTimeField()
    cost_type = models.CharField(max_length=32, choices=CostType)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    currency = models.CharField(max_length=8)
    amount = MoneyField(default=ZERO)
    base_amount = MoneyField(default=ZERO)
    event_count = models.BigIntegerField(default=0)
    unpriced_count = models.BigIntegerField(default=0)
    unconverted_count = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    objects = FoldedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "cost_type", "provider", "model", "currency"], name="model_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.model}"


class FoldState(models.Model):
    """How far the rollups have been folded: every event written by a transaction below `horizon` is in them.

    Events before `retained_from` have been removed by retention; their rollups stay and cannot be compared any more.
    `txid_offset` is added to the numbers of transactions since the database was restored into another cluster, where
    they began again.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    horizon = models.BigIntegerField(default=0)
    folded_at = models.DateTimeField(null=True)
    event_count = models.BigIntegerField(default=0)
    retained_from = models.DateField(null=True, editable=False)
    txid_offset = models.BigIntegerField(default=0, db_default=0, editable=False)

    def __str__(self) -> str:
        return str(self.horizon)


class RollupAudit(models.Model):
    """One comparison of the rollups of a day with the events behind them, to the last digit."""

    day = models.DateField()
    audited_at = models.DateTimeField()
    events_amount = MoneyField()
    rollup_amount = MoneyField()
    events_count = models.BigIntegerField()
    rollup_count = models.BigIntegerField()
    equal = models.BooleanField()
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-audited_at", "-id"]
        indexes = [models.Index(fields=["day"], name="rollup_audit_by_day")]

    def __str__(self) -> str:
        return f"{self.day} {'equal' if self.equal else 'DIFFERENT'}"


class UnpricedModel(models.Model):
    """A model that was used and has no price: recorded without an amount, never priced as something else."""

    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=160)
    event_count = models.BigIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=QueueStatus, default=QueueStatus.OPEN)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["status", "-event_count", "id"]
        constraints = [models.UniqueConstraint(fields=["provider", "model"], name="unpriced_model_once")]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class IngestReject(models.Model):
    """An item of a batch that could not be recorded, kept whole so that it can be mended and sent again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=RejectKind)
    source = models.CharField(max_length=64)
    payload_hash = models.CharField(max_length=64)
    payload = models.JSONField()
    reasons = models.JSONField(default=list)
    event_count = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=QueueStatus, default=QueueStatus.OPEN)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["status", "-last_seen_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["source", "kind", "payload_hash"], name="ingest_reject_once")]

    def __str__(self) -> str:
        return f"{self.kind} from {self.source}"
