"""Training of a video model."""

from viper_model.video_model.fit.background import BACKGROUNDS
from viper_model.video_model.fit.training import fit

__all__ = ["BACKGROUNDS", "fit"]
