"""The Python client and an agent that uses it."""
