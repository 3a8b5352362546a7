"""The alerts app's part of the HTTP API."""
