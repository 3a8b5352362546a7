"""Processes that change alerts and deliver what is told of them, killed with -9 at random instants."""
