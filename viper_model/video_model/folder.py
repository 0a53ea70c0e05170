"""The folder that a video model is kept in: config.yaml, tasks.yaml, model.safetensors."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from viper_model.errors import ModelError
from viper_model.files import replace_file
from viper_model.reward.likelihood import FORMS, Calibration
from viper_model.torch_tools.checkpoint import load_weights, read_tensors, write_tensors
from viper_model.video_model.sizes import CODE_MODELS, VideoModelConfig
from viper_model.video_model.tokenizers import TOKENIZERS
from viper_model.videos.settings import NOTHING_CHOSEN
from viper_model.videos.source import SETTINGS
from viper_model.yaml_files import YamlError, read_yaml

if TYPE_CHECKING:
    from viper_model.video_model.video_model import VideoModel

VERSION = 3
"""Of the folder's layout and of what its numbers mean."""
WEIGHTS = "model.safetensors"
LARGEST = 100_000
"""More than any number of a configuration is: what is larger is damage."""


def save_model(model: VideoModel, folder: Path) -> None:
    """Write `model` to `folder`; config.yaml last, when the rest is whole."""
    write_tensors(folder / WEIGHTS, model.state_dict(), {})
    tasks = {
        task: {
            "form": calibration.suited_form,
            "conditional": _lists(calibration.quantiles),
            "ratio": _lists(calibration.ratio_quantiles),
        }
        for task, calibration in ((task, model.calibration[task]) for task in model.tasks)
    }
    _write_yaml(folder / "tasks.yaml", tasks)
    config = {
        "tokenizer": {"name": model.tokenizer_name, **dataclasses.asdict(model.config.tokenizer)},
        "code_model": {"name": model.code_model_name, **dataclasses.asdict(model.config.code_model)},
        "frame_skip": model.frame_skip,
        "background": model.has_background,
    }
    _write_yaml(folder / "config.yaml", {"version": VERSION, **config})


def read_config(folder: Path) -> tuple[VideoModelConfig, bool]:
    """The model's configuration, and whether it has a background.

    Raises ModelError where there is none, or it is of another version.
    """
    path = folder / "config.yaml"
    document = _read_current(path)
    try:
        tokenizer, code_model = dict(document["tokenizer"]), dict(document["code_model"])
        tokenizer_name, code_model_name = tokenizer.pop("name"), code_model.pop("name")
        for kind, name, known in (
            ("tokenizer", tokenizer_name, TOKENIZERS),
            ("code model", code_model_name, CODE_MODELS),
        ):
            if name not in known:
                raise ModelError(f"{path} names the {kind} '{name}'; this viper_ros has {', '.join(known)}")
        if "channels" in tokenizer:
            tokenizer["channels"] = tuple(tokenizer["channels"])
        for name, value in {**tokenizer, **code_model, "frame_skip": document["frame_skip"]}.items():
            if name not in ("channels", "dropout") and (type(value) is not int or not 1 <= value <= LARGEST):
                raise ModelError(f"{path}: `{name}` is {str(value)[:20]}, not a whole number from 1 to {LARGEST}")
        if not 0 <= code_model.get("dropout", 0) < 1:
            raise ModelError(f"{path}: `dropout` is {code_model['dropout']!r}, not a number from 0 to below 1")
        config = VideoModelConfig(
            TOKENIZERS[tokenizer_name][0](**tokenizer),
            CODE_MODELS[code_model_name][0](**code_model),
            document["frame_skip"],
        )
        return config, bool(document["background"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not of a video model of viper_ros: {error}") from error


def read_calibration(folder: Path) -> dict[str, Calibration]:
    """By task. Raises ModelError where tasks.yaml is missing or damaged, or the folder is of another version."""
    _read_current(folder / "config.yaml")
    path = folder / "tasks.yaml"
    document = _read_yaml(path)
    try:
        return {str(task): _calibration(of_task) for task, of_task in document.items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _calibration(document: dict[str, Any]) -> Calibration:
    (form,) = (each for each in FORMS if each == document["form"])
    conditional, ratio = (_quantiles(document[name]) for name in ("conditional", "ratio"))
    if not all(set(Calibration.SCALE) <= set(quantiles) for quantiles in (conditional, ratio or conditional)):
        raise ValueError(f"it lacks the quantiles of {' or '.join(Calibration.SCALE)} videos")
    return Calibration(conditional, ratio, form)


def load_model_weights(model: VideoModel, folder: Path) -> None:
    """Raises ModelError where the file is missing, cut short or another model's."""
    load_weights(model, read_tensors(folder / WEIGHTS)[0], folder / WEIGHTS)


def model_hash(folder: Path) -> str | None:
    """What tells a model from others: a SHA-256 over its files; None where there is no model.

    How its videos are prepared counts where anything is done to them.
    """
    digest = hashlib.sha256()
    prepared = folder / SETTINGS
    try:
        for name in ("config.yaml", "tasks.yaml", WEIGHTS):
            digest.update((folder / name).read_bytes())
        if prepared.exists() and (said := prepared.read_bytes()) != NOTHING_CHOSEN:
            digest.update(said)
            for mask in sorted(folder.glob("masks/*.png")):
                digest.update(mask.name.encode() + mask.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


def _lists(quantiles: dict[str, tuple[float, ...]]) -> dict[str, list[float]]:
    return {kind: list(values) for kind, values in quantiles.items()}


def _quantiles(document: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    quantiles = {str(kind): tuple(map(float, values)) for kind, values in document.items()}
    for kind, values in quantiles.items():
        if len(values) != len(Calibration.LEVELS) or not all(map(math.isfinite, values)) or sorted(values) != [*values]:
            raise ValueError(
                f"the quantiles of {kind} are {list(values)}, not {len(Calibration.LEVELS)} finite numbers that rise"
            )
    return quantiles


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    replace_file(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=None).encode())


def _read_current(path: Path) -> dict[str, Any]:
    """config.yaml. Raises ModelError where the folder is of another version."""
    document = _read_yaml(path)
    version = document.get("version")
    if version != VERSION:
        raise ModelError(
            f"{path} is of version {version} of the model folder; this viper_ros reads {VERSION}: fit the model again, "
            "into another folder or with this one removed"
        )
    return document


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = read_yaml(path)
    except FileNotFoundError as error:
        raise ModelError(
            f"no video model in {path.parent}: {path.name} is missing; has its training finished? "
            "`viper fit` makes models"
        ) from error
    except (OSError, YamlError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict) or not document:
        raise ModelError(f"{path} is not of a video model of viper_ros")
    return document
