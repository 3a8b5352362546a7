"""Commands of the costs app."""
