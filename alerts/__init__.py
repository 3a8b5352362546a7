"""The room for alerts; empty so far."""
