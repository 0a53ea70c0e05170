"""Training of a video model."""

from viper_model.video_model.fit.training import BACKGROUNDS, Background, fit

__all__ = ["BACKGROUNDS", "Background", "fit"]
