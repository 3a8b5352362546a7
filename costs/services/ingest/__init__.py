"""Recording of costs: every item is validated, priced, converted, deduplicated and written in one transaction."""

from costs.services.ingest.record import Batch, record_batch, record_cost, record_costs

__all__ = ["Batch", "record_batch", "record_cost", "record_costs"]
