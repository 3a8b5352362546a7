"""Recording of costs: every item is validated, priced, converted, deduplicated and written in one transaction."""

from costs.services.ingest.record import record_cost, record_costs

__all__ = ["record_cost", "record_costs"]
