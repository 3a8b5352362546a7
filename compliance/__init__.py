"""The room for compliance; empty so far."""
