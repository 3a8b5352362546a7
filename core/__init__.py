"""Plumbing and ports that know no domain word."""
