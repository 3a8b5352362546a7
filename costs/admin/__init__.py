"""The admin pages of the costs app."""

from costs.admin import budgets, entities, events, explorer, money, price_tools, prices, queues, rejects, reservations

__all__ = [
    "budgets",
    "entities",
    "events",
    "explorer",
    "money",
    "price_tools",
    "prices",
    "queues",
    "rejects",
    "reservations",
]
