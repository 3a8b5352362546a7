"""Buckets: what indicators have measured, kept by minute, hour and day, with running sums.

`record_events` is the only way in and `counts` the way out; `rows` reads the buckets themselves.
"""

from slas.buckets.reading import EMPTY, Counts, counts, rows, sums
from slas.buckets.recording import lock, record_batches, record_events
from slas.buckets.slices import RATIO_UNIT
from slas.buckets.tallies import Aggregate, Event, Verdict

__all__ = [
    "EMPTY",
    "RATIO_UNIT",
    "Aggregate",
    "Counts",
    "Event",
    "Verdict",
    "counts",
    "lock",
    "record_batches",
    "record_events",
    "rows",
    "sums",
]
