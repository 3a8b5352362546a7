"""Commands of the alerts app."""
