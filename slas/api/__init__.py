"""The HTTP API of the slas app."""
