"""With the real LeRobot, where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.viper_model.examples import save_model
from viper_model.errors import ModelError
from viper_model.reward.scorer import score_video
from viper_model.video_model.video_model import VideoModel

pytest.importorskip("lerobot.rewards.pretrained", reason="pip install 'lerobot>=0.6'")

from viper_lab.lerobot.reward_model import ViperConfig, ViperRewardModel

CAMERA = "observation.images.top"


def test_a_clips_reward_is_its_last_frames(tmp_path: Path) -> None:
    from lerobot.rewards.factory import make_reward_model

    save_model(tmp_path, background=True)
    model = VideoModel.load(tmp_path)
    config = ViperConfig(model=str(tmp_path), device="cpu")
    time = len(config.observation_delta_indices)
    assert time == model.context * model.frame_skip
    frames = np.random.default_rng(0).integers(0, 256, (2, time, model.image_size, model.image_size, 3), np.uint8)
    images = torch.from_numpy(frames).movedim(-1, 2) / 255
    batch = {CAMERA: images, "task": ["Cartpole balance", "Cartpole swingup."]}
    expected = [
        score_video(model, clip, task, "ratio").reward[-1]
        for clip, task in zip(frames, ("cartpole_balance", "cartpole_swingup"), strict=True)
    ]
    for rewards in (make_reward_model(config), ViperRewardModel.from_pretrained(tmp_path)):
        assert not rewards.is_trainable
        np.testing.assert_allclose(rewards.compute_reward(batch).numpy(), expected, atol=1e-4)
        with pytest.raises(ModelError, match="no task 'dance'"):
            rewards.compute_reward({**batch, "task": ["Dance", "Dance"]})
        with pytest.raises(ModelError, match="set `camera`"):
            rewards.compute_reward({**batch, "observation.images.other": images})
