"""Time steps one after the other, none left out that is shown again."""

from __future__ import annotations

from dataclasses import dataclass

from viper_ros.msg import Step


@dataclass
class Succession:
    """Which time step of an environment to take next.

    An environment that waits for an answer shows its last time steps over and over: those that were answered, oldest
    first, and then the one that was not. Who comes late, or was away until its queue ran over, may hear the end of a
    showing first. So a step that does not follow the one before is left to the next showing, which is whole.
    """

    _last: Step | None = None
    _heard_an_end: bool = False
    """Of a showing, since something was left out."""

    def takes(self, step: Step) -> bool:
        """Whether this step is next. To be asked of each step as it comes, but of none that was taken."""
        if not (self._follows(step) or self._heard_an_end):
            self._heard_an_end = not step.answered
            return False
        self._last, self._heard_an_end = step, False
        return True

    def _follows(self, step: Step) -> bool:
        last = self._last
        if step.is_first and (step.episode == 0 or (last and last.is_last)):
            return True  # Nothing came before it.
        return last is not None and (step.episode, step.index) == (last.episode, last.index + 1)
