"""The admin pages of the slas app."""

from slas.admin import capacity, contracts

__all__ = ["capacity", "contracts"]
