"""What is told to a user in one line: their mistake, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from sim.env import SimError
from viper_model.errors import ModelError


class UserError(Exception):
    """A user's mistake, told in one line that says what to do."""


USER_ERRORS: tuple[type[Exception], ...] = (UserError, SimError, ModelError)
"""All errors of the packages below ROS that are a user's mistake."""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The question about a name that is none of `known`: those that look like it, or all where none does."""
    return f"did you mean {' or '.join(difflib.get_close_matches(name, known, cutoff=0.4) or known)}?"
