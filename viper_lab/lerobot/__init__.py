"""The reward in LeRobot's terms: progress beside a dataset, and a reward model of its `lerobot.rewards`."""
