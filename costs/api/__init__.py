"""The HTTP API of costs, budgets, reservations and prices, below /api/v1/financial."""
