"""The admin pages of the slas app."""

from slas.admin import board, capacity, contracts, exclusions, objectives, openslo, report_pages, status_pages

__all__ = ["board", "capacity", "contracts", "exclusions", "objectives", "openslo", "report_pages", "status_pages"]
