"""Clients that talk to the platform from outside; they share no code with it."""
