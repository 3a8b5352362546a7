"""The room for experiments; empty so far."""
