"""DreamerV3 on images (Hafner et al. 2023), with disagreement as the exploration bonus (Sekar et al. 2020)."""

from viper_model.dreamer.agent import Agent
from viper_model.dreamer.learner import Learner
from viper_model.dreamer.policy import ActingPolicy, PolicyState
from viper_model.dreamer.replay import Replay
from viper_model.dreamer.sizes import SIZES

__all__ = ["SIZES", "ActingPolicy", "Agent", "Learner", "PolicyState", "Replay"]
