"""What is told to a user in one line: their mistake, and what to do about it."""

from __future__ import annotations

from sim.env import SimError
from viper_model.errors import ModelError


class UserError(Exception):
    """A user's mistake, told in one line that says what to do."""


USER_ERRORS: tuple[type[Exception], ...] = (UserError, SimError, ModelError)
"""All errors of the packages below ROS that are a user's mistake."""
