"""DreamerV3 on images (Hafner et al. 2023), with disagreement as the exploration bonus (Sekar et al. 2020)."""

from viper_model.agents.dreamer.agent import Agent
from viper_model.agents.dreamer.policy import ActingPolicy, PolicyState
from viper_model.agents.dreamer.sizes import SIZES
from viper_model.agents.learner import Learner
from viper_model.agents.replay import Replay

__all__ = ["SIZES", "ActingPolicy", "Agent", "Learner", "PolicyState", "Replay"]
