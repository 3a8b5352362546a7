"""Costs: the ledger, the price book, budgets."""
