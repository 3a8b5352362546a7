"""Alertmanager's API v2, for Prometheus, amtool and everybody who speaks to it."""
