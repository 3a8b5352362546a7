"""The room for service levels; empty so far."""
