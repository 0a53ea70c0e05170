class ModelError(Exception):
    """A user's mistake (a missing checkpoint, an unreadable video), told in one line that says what to do."""
