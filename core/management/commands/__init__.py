"""Each parses, calls a service and reports."""
