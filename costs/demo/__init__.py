"""Demonstration data: an invented organisation's fleet, its costs and budgets; marked, and removable to the row."""
