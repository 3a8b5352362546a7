"""The admin pages of the slas app."""

from slas.admin import capacity, contracts, openslo, report_pages, status_pages

__all__ = ["capacity", "contracts", "openslo", "report_pages", "status_pages"]
