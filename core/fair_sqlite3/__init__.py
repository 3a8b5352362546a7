"""SQLite as Django has it, with one difference: writers that wait for each other get their turn (see `base`)."""
