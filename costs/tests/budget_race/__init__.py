"""Processes that spend, settle, lose, repeat and expire against a few hard budgets at the same time."""
