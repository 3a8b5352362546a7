"""What was measured, in buckets of a minute, an hour and a day."""

from __future__ import annotations

from django.db import models

from core.money import MoneyField
from slas.choices import Series
from slas.models.objectives import Sli


class SliBucket(models.Model):
    """Events of one indicator in one stretch of time; the only place they are kept.

    `start` is UNIX time in seconds, `resolution` 60, 3600 or 86,400 seconds, aligned to UTC. Each `cum_*` is the sum of
    its column over this bucket and the ones before it: from the beginning of the UTC day for minutes and hours, from
    the first bucket on for days. So the sum over any window is a difference of a few rows, whatever its length.
    `good` and `total` are what was measured; `excluded_*` is the part of it that exclusions take out.

    Written by `slas.buckets` alone, under the lock of the indicator's row.
    """

    pk = models.CompositePrimaryKey("sli_id", "series", "resolution", "start")
    sli = models.ForeignKey(Sli, models.CASCADE, related_name="buckets", db_index=False)
    series = models.PositiveSmallIntegerField(choices=Series, default=Series.EVENTS)
    resolution = models.PositiveIntegerField()
    start = models.BigIntegerField()
    good = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    excluded_good = models.BigIntegerField(default=0)
    excluded_total = models.BigIntegerField(default=0)
    cum_good = models.BigIntegerField(default=0)
    cum_total = models.BigIntegerField(default=0)
    cum_excluded_good = models.BigIntegerField(default=0)
    cum_excluded_total = models.BigIntegerField(default=0)
    value_sum = MoneyField(null=True)
    value_max = MoneyField(null=True)
    histogram = models.TextField(default="", blank=True)

    class Meta:
        verbose_name = "SLI bucket"
        ordering = ["sli", "series", "resolution", "start"]

    def __str__(self) -> str:
        return f"{self.sli_id} {self.resolution} s from {self.start}: {self.good} of {self.total}"
