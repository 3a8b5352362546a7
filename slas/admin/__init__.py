"""The admin pages of the slas app."""

from slas.admin import capacity

__all__ = ["capacity"]
