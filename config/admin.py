"""Pages of the house as a whole; imported with every app's admin module."""

from config import documents

__all__ = ["documents"]
