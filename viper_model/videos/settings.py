"""The choices of how videos are prepared, made once.

They stand in `videos.yaml` beside the videos, and are kept with the model, so that whatever it is shown later is
treated alike. All keys may be left out, and `of` too, which a model's own has wherever its videos have one size:

    rate: 10            # frames a second that the model sees; as recorded unless given
    recorded_rate: 50   # rate of videos whose format does not say (npz)
    camera: /cam/image  # topic (rosbag2) or key (LeRobot), where a recording has several
    crop: {top: 0, left: 80, height: 480, width: 480, of: [640, 480]}   # pixels of a frame; its width, height
    masks: {pong: masks/pong.png}   # a task's mask, as large as its recorded frames: what is dark in it becomes black
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from viper_model.errors import ModelError
from viper_model.files import replace_file
from viper_model.videos.preparation import Crop, Preparation
from viper_model.videos.source import OLD_SETTINGS, SETTINGS
from viper_model.yaml_files import YamlError, read_yaml

LIGHT = 128
"""From this grey on a mask lets through what is under it."""
MISTYPED_SETTINGS = "videos.yml"
DEEPEST = 4
"""How many folders a video lies in at most: <data folder>/<embodiment>/<task>/<behaviour>/<video>."""
NOTHING_CHOSEN = b"{}\n"
"""What `VideoSettings.save` writes where all is as usual."""
CROP = ("top", "left", "height", "width")
KEYS = ("rate", "recorded_rate", "camera", "crop", "masks")


@dataclass(frozen=True)
class VideoSettings:
    """What `videos.yaml` says."""

    rate: float | None = None
    recorded_rate: float | None = None
    camera: str | None = None
    crop: Crop | None = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By task, bool [height, width]."""

    def of(self, task: str) -> Preparation:
        return Preparation(self.rate, self.recorded_rate, self.crop, self.masks.get(task))

    def for_model(self, model: VideoSettings) -> VideoSettings:
        """How a model's settings prepare these videos: of theirs remains what tells how they were recorded."""
        recorded_rate, camera = self.recorded_rate or model.recorded_rate, self.camera or model.camera
        return replace(model, recorded_rate=recorded_rate, camera=camera)

    @staticmethod
    def load(folder: Path) -> VideoSettings:
        """The settings in a folder of videos; the defaults where there are none. Raises ModelError."""
        path = _file_in(folder)
        if path is None:
            return VideoSettings()
        try:
            document = read_yaml(path) or {}
        except (OSError, YamlError) as error:
            raise ModelError(f"cannot read {path}: {error}") from error
        if not isinstance(document, dict):
            raise ModelError(f"{path} has no keys; it may have {', '.join(KEYS)}")
        for key in document:
            if key not in KEYS:
                raise ModelError(f"{path} has an unknown key '{key}'; it may have {', '.join(KEYS)}")
        return VideoSettings(
            rate=_rate(path, document, "rate"),
            recorded_rate=_rate(path, document, "recorded_rate"),
            camera=_camera(path, document.get("camera")),
            crop=_crop(path, document.get("crop")),
            masks=_masks(path, document.get("masks")),
        )

    @staticmethod
    def of_model(folder: Path) -> VideoSettings:
        """The settings in a model's folder, which has them even where they say nothing. Raises ModelError."""
        if not os.path.lexists(folder / SETTINGS):
            raise ModelError(f"{folder / SETTINGS} is missing: copy the model's whole folder, or fit it again")
        return VideoSettings.load(folder)

    @staticmethod
    def of_video(video: Path, model_folder: Path) -> VideoSettings:
        """How a model is shown a video; what tells how it was recorded is that of the nearest folder with settings, the
        video itself or one that it lies in. Raises ModelError, as `load` and `of_model` do."""
        whole = Path(os.path.abspath(video))
        nearest = next(filter(_file_in, (whole, *whole.parents[:DEEPEST])), whole)
        return VideoSettings.load(nearest).for_model(VideoSettings.of_model(model_folder))

    def save(self, folder: Path, tasks: tuple[str, ...]) -> None:
        """Write what `load` reads, with the masks of `tasks`. Raises ModelError."""
        document: dict[str, Any] = {"rate": self.rate, "recorded_rate": self.recorded_rate, "camera": self.camera}
        if self.crop:
            of = {"of": list(self.crop.of)} if self.crop.of else {}
            document["crop"] = {**{name: getattr(self.crop, name) for name in CROP}, **of}
        document["masks"] = {task: f"masks/{task}.png" for task in tasks if task in self.masks}
        for task, file in document["masks"].items():
            _, png = cv2.imencode(".png", self.masks[task].astype(np.uint8) * 255)
            replace_file(folder / file, png.tobytes())
        chosen = {key: value for key, value in document.items() if value}
        replace_file(folder / SETTINGS, yaml.safe_dump(chosen, sort_keys=False).encode())


def _file_in(folder: Path) -> Path | None:
    """The settings in a folder; None where there are none. Raises ModelError where they are called otherwise."""
    if os.path.lexists(mistyped := folder / MISTYPED_SETTINGS):
        raise ModelError(f"{mistyped} is not read: call it {SETTINGS}")
    return next((folder / name for name in (SETTINGS, OLD_SETTINGS) if os.path.lexists(folder / name)), None)


def _rate(path: Path, document: dict[str, Any], key: str) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
        raise ModelError(f"{path}: `{key}` is frames a second, a number above 0, not {value!r}")
    return float(value)


def _camera(path: Path, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ModelError(f"{path}: `camera` is the name of a topic or of a LeRobot key, not {value!r}")
    return value


def _crop(path: Path, value: Any) -> Crop | None:
    if value is None:
        return None
    lowest = (0, 0, 1, 1)
    if (
        not isinstance(value, dict)
        or value.keys() - {"of"} != set(CROP)
        or not all(_is_pixels(value[name], low) for name, low in zip(CROP, lowest, strict=True))
    ):
        raise ModelError(f"{path}: `crop` is {{top, left, height, width}} in whole pixels, not {value!r}")
    of = value.get("of")
    if of is not None and not (isinstance(of, list) and len(of) == 2 and all(_is_pixels(side, 1) for side in of)):
        raise ModelError(f"{path}: `of` of `crop` is the frames' [width, height] in whole pixels, not {of!r}")
    return Crop(**{name: value[name] for name in CROP}, of=(of[0], of[1]) if of else None)


def _is_pixels(value: Any, lowest: int) -> bool:
    return type(value) is int and value >= lowest


def _masks(path: Path, value: Any) -> dict[str, np.ndarray]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(file, str) for file in value.values()):
        raise ModelError(f"{path}: `masks` names an image file for each task, not {value!r}")
    masks = {}
    for task, file in value.items():
        picture = path.parent / file
        # OpenCV warns of missing files in lines of its own.
        image = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE) if picture.exists() else None
        if image is None:
            raise ModelError(f"{path}: there is no image at {picture}, the mask of {task}")
        masks[str(task)] = image >= LIGHT
        if not masks[str(task)].any():
            raise ModelError(
                f"{path}: {picture}, the mask of {task}, is dark everywhere: paint {LIGHT} to 255 what counts"
            )
    return masks
