"""OpenSLO v1, in and out: documents to plans and rows to documents. No database is written here."""

from slas.openslo.plans import Bundle, ServicePlan, SliPlan, SloPlan
from slas.openslo.reading import OpenSloError, read
from slas.openslo.writing import write

__all__ = ["Bundle", "OpenSloError", "ServicePlan", "SliPlan", "SloPlan", "read", "write"]
