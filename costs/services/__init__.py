"""Use cases of the costs app: one function is one transaction."""
