"""A video model as a reward model of LeRobot 0.6 or later: `pip install 'lerobot>=0.6'`, which wants Python 3.12."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.rewards import RewardModelConfig
from lerobot.rewards.pretrained import PreTrainedRewardModel
from torch import Tensor

from viper_model.errors import ModelError
from viper_model.reward.likelihood import frame_likelihood
from viper_model.reward.scorer import chosen_form
from viper_model.video_model.folder import read_config
from viper_model.video_model.video_model import VideoModel
from viper_model.videos.lerobot import task_name
from viper_model.videos.settings import VideoSettings


@RewardModelConfig.register_subclass("viper")
@dataclass
class ViperConfig(RewardModelConfig):
    model: str = ""
    """Folder of the video model."""
    form: str = "auto"
    """Of the reward, see `viper_model.reward.scorer.chosen_form`."""

    @property
    def observation_delta_indices(self) -> list[int]:
        """The frames that a reward looks at, counted from the one that it is for; of a dataset at the model's rate."""
        config, _ = read_config(Path(self.model))
        return list(range(1 - config.code_model.context * config.frame_skip, 1))


class ViperRewardModel(PreTrainedRewardModel):
    """Rewards of clips' last frames. Not trained by LeRobot: `viper fit` does that."""

    config_class = ViperConfig
    name = "viper"

    def __init__(self, config: ViperConfig, **kwargs: Any) -> None:
        """Raises ModelError where `config.model` is no folder of a video model."""
        super().__init__(config)
        self.video_model = VideoModel.load(Path(config.model), config.device or "cpu")
        self._settings = VideoSettings.of_model(Path(config.model))
        self._forms = {task: chosen_form(self.video_model, config.form, task) for task in self.video_model.tasks}

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, config: ViperConfig | None = None, **kwargs: Any
    ) -> ViperRewardModel:
        """The model in a folder that `viper fit` made."""
        return cls(config or ViperConfig(model=str(pretrained_name_or_path)))

    @torch.no_grad()
    def compute_reward(self, batch: dict[str, Any]) -> Tensor:
        """float32 [batch], dimensionless: see `Calibration.reward`.

        batch: the camera's frames, float32 [batch, time, 3, height, width] from 0 to 1, oldest first, under its
        `observation.images.…` key (the one in the model's videos.yaml where there are several); and `task`, a sentence
        for each. Raises ModelError for other frames and unknown tasks.
        """
        images = batch[self._camera(batch)]
        if images.ndim != 5:
            raise ModelError(f"frames of shape {list(images.shape)}, not [batch, time, 3, height, width]")
        frames = (images * 255).round().clamp(0, 255).to(torch.uint8).movedim(2, -1).cpu().numpy()
        tasks = [task_name(sentence) for sentence in batch["task"]]
        index = torch.tensor([self.video_model.task_index(task) for task in tasks])
        size = self.video_model.image_size
        prepared = np.stack(
            [self._settings.of(task).frames(clip, size) for task, clip in zip(tasks, frames, strict=True)]
        )  # [batch, time, size, size, 3]
        forms = [self._forms[task] for task in tasks]
        log_probs = self.video_model.log_probs(torch.from_numpy(prepared), index, background="ratio" in forms)
        nats = {
            form: frame_likelihood(form, log_probs, self.video_model.context)[:, -1].cpu().numpy()
            for form in set(forms)
        }
        rewards = [
            self.video_model.calibration[task].reward(form, nats[form][place])
            for place, (task, form) in enumerate(zip(tasks, forms, strict=True))
        ]
        return torch.from_numpy(np.stack(rewards)).to(images.device)

    def _camera(self, batch: dict[str, Any]) -> str:
        cameras = [key for key in batch if key.startswith("observation.images.")]
        camera = self._settings.camera or (cameras[0] if len(cameras) == 1 else "")
        if camera not in batch:
            raise ModelError(f"a batch of the cameras {', '.join(cameras)}: set `camera` in the model's videos.yaml")
        return camera
