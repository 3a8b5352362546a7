"""The room for backups; empty so far."""
