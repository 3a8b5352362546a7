"""Rules, heartbeats, runbooks and sweeps in the admin."""
