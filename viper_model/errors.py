class ModelError(Exception):
    """A user's mistake (a missing checkpoint, an unreadable film), told in one line that says what to do."""
