"""The video model: VQ-GAN and a model of codes as one `likelihood.LikelihoodModel`, and the folder it is kept in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from viper_model.errors import ModelError
from viper_model.files import replace_file
from viper_model.reward.likelihood import Calibration
from viper_model.torch_tools.checkpoint import load_weights, read_tensors, write_tensors
from viper_model.torch_tools.cuda_graphs import Graphed
from viper_model.torch_tools.cuda_streams import QUICK, on, own_stream
from viper_model.video_model.code_model import CodeModel, CodeModelConfig
from viper_model.video_model.masked import MaskedConfig, MaskedModel
from viper_model.video_model.tokenizers.vqgan import VQGAN, VQGANConfig
from viper_model.video_model.videogpt import VideoGPT, VideoGPTConfig

VERSION = 1
"""Of the folder's layout and of what its numbers mean."""


@dataclass(frozen=True)
class VideoModelConfig:
    vqgan: VQGANConfig
    code_model: CodeModelConfig
    """Its class says which model it is."""
    frame_skip: int
    """Only every frame_skip-th frame counts as the past of a frame."""


LIKELIHOODS: dict[str, tuple[type[CodeModelConfig], type[CodeModel]]] = {
    "videogpt": (VideoGPTConfig, VideoGPT),
    "masked": (MaskedConfig, MaskedModel),
}
"""Models of a video's codes, by name: their configuration and their class."""


SIZES = {
    # Trains in some four minutes on two CPU cores.
    "tiny": VideoModelConfig(
        VQGANConfig(image_size=32, channels=(32, 64, 64), blocks=1, codes=256, code_dim=32),
        VideoGPTConfig(context=8, layers=3, width=96, heads=3, dropout=0.1),
        frame_skip=2,
    ),
    # The paper's for the DeepMind Control Suite (Escontrela et al. 2023, appendix): 8 × 8 codes, 16 frames.
    "dmc": VideoModelConfig(
        VQGANConfig(image_size=64, channels=(128, 256, 256), blocks=2, codes=256, code_dim=64),
        VideoGPTConfig(context=16, layers=8, width=256, heads=8, dropout=0.1),
        frame_skip=1,
    ),
    # The paper's for Atari: 16 × 16 codes of 1024, 4 frames, every fourth.
    "atari": VideoModelConfig(
        VQGANConfig(image_size=64, channels=(128, 256), blocks=2, codes=1024, code_dim=64),
        VideoGPTConfig(context=4, layers=8, width=512, heads=8, dropout=0.0),
        frame_skip=4,
    ),
    # Environments with small things in them, on two CPU cores: 64 pixels, every fourth frame.
    "tiny64": VideoModelConfig(
        VQGANConfig(image_size=64, channels=(32, 64, 64), blocks=1, codes=256, code_dim=32),
        VideoGPTConfig(context=8, layers=3, width=96, heads=3, dropout=0.1),
        frame_skip=4,
    ),
    # Arms at a camera's rate: 16 × 16 codes, every fourth frame, as otherwise standing still is the likeliest video.
    "arms": VideoModelConfig(
        VQGANConfig(image_size=64, channels=(128, 256), blocks=2, codes=1024, code_dim=64),
        VideoGPTConfig(context=4, layers=8, width=512, heads=8, dropout=0.1),
        frame_skip=4,
    ),
}


def size_config(size: str, likelihood: str = "videogpt") -> VideoModelConfig:
    """The configuration of a named size of the model that a name of LIKELIHOODS stands for.

    Raises ModelError where there is none of that name.
    """
    if size not in SIZES:
        raise ModelError(f"unknown model size '{size}': choose one of {', '.join(SIZES)}")
    if likelihood not in LIKELIHOODS:
        raise ModelError(f"unknown likelihood model '{likelihood}': choose one of {', '.join(LIKELIHOODS)}")
    kind, config = LIKELIHOODS[likelihood][0], SIZES[size]
    return dataclasses.replace(config, code_model=kind(**dataclasses.asdict(config.code_model)))


class VideoModel(nn.Module):
    """Answers the three questions of `likelihood.LikelihoodModel`."""

    def __init__(self, config: VideoModelConfig, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        self.tasks = tasks
        self.image_size = config.vqgan.image_size
        self.likelihood = next(name for name, (kind, _) in LIKELIHOODS.items() if type(config.code_model) is kind)
        """The code model's name in LIKELIHOODS."""
        self.context = config.code_model.context
        self.frame_skip = config.frame_skip
        self.calibration: dict[str, Calibration] = {}
        """By task; empty until measured."""
        self.vqgan = VQGAN(config.vqgan)
        _, code_model = LIKELIHOODS[self.likelihood]
        self.code_model = code_model(config.code_model, config.vqgan.grid**2, config.vqgan.codes, len(tasks))
        self.eval()

    @property
    def device(self) -> torch.device:
        return self.code_model.head.weight.device

    def task_index(self, task: str) -> int:
        """The number that stands for a task. Raises ModelError where the model was not trained on it."""
        if task not in self.tasks:
            raise ModelError(f"the model knows no task '{task}': choose one of {', '.join(self.tasks)}")
        return self.tasks.index(task)

    @torch.no_grad()
    def log_probs(self, frames: Tensor, task: Tensor) -> Tensor:
        """See `LikelihoodModel.log_probs`. Raises ModelError where frames are not the model's."""
        return self.code_log_probs(self.vqgan.encode(self._checked(frames, 5)), task.to(self.device))

    @torch.no_grad()
    def code_log_probs(self, codes: Tensor, task: Tensor) -> Tensor:
        """`log_probs` of clips that are encoded already: int64 [batch, time, rows, columns] → float32, same shape."""
        time, grid = codes.shape[1], codes.shape[2:]
        videos = interleaved_videos(codes.flatten(2), self.frame_skip)
        log_probs = self.code_model.log_probs(videos, task.repeat_interleave(self.frame_skip))
        return videos_interleaved(log_probs, self.frame_skip, time).unflatten(2, grid)

    def stream(self, videos: int) -> VideoStream:
        """See `LikelihoodModel.stream`."""
        return VideoStream(self, videos)

    @torch.no_grad()
    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """See `LikelihoodModel.imagine`. generator: of the model's device. Raises ModelError as `log_probs` does."""
        frames, task = self._checked(frames, 5), task.to(self.device)
        videos = torch.arange(len(frames), device=self.device)
        contexts = Contexts(self.code_model, len(frames), self.frame_skip)
        for codes in self.vqgan.encode(frames).flatten(2).unbind(1):
            self.code_model.score(contexts.cache, contexts.next(videos), codes, task)
        imagined = [
            self.code_model.sample(contexts.cache, contexts.next(videos), task, generator) for _ in range(steps)
        ]
        grid = self.config.vqgan.grid
        return self.vqgan.decode(torch.stack(imagined, 1).unflatten(2, (grid, grid)))

    def save(self, folder: Path) -> None:
        """Write the model to a folder: `model.safetensors`, `tasks.yaml` and, when those are whole, `config.yaml`."""
        weights = {_renamed(name, "code_model", self.likelihood): w for name, w in self.state_dict().items()}
        write_tensors(folder / "model.safetensors", weights, {})
        tasks = {
            task: {kind: list(quantiles) for kind, quantiles in self.calibration[task].quantiles.items()}
            for task in self.tasks
        }
        _write_yaml(folder / "tasks.yaml", tasks)
        config = {
            "likelihood": self.likelihood,
            "vqgan": dataclasses.asdict(self.config.vqgan),
            self.likelihood: dataclasses.asdict(self.config.code_model),
            "frame_skip": self.frame_skip,
        }
        _write_yaml(folder / "config.yaml", {"version": VERSION, **config})

    @staticmethod
    def load(folder: Path, device: torch.device | str = "cpu") -> VideoModel:
        """Read what `save` wrote. Raises ModelError where something is missing, cut short or foreign."""
        config = _read_config(folder / "config.yaml")
        quantiles = _read_yaml(folder / "tasks.yaml")
        try:
            model = VideoModel(config, tuple(quantiles))
            model.calibration = {
                task: Calibration({kind: tuple(map(float, values)) for kind, values in kinds.items()})
                for task, kinds in quantiles.items()
            }
        except (AttributeError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise ModelError(f"config.yaml or tasks.yaml in {folder} is damaged: {error}") from error
        weights = folder / "model.safetensors"
        tensors = read_tensors(weights)[0]
        load_weights(model, {_renamed(n, model.likelihood, "code_model"): t for n, t in tensors.items()}, weights)
        return model.to(device)

    def _checked(self, frames: Tensor, dimensions: int) -> Tensor:
        """The frames on the model's device."""
        size = self.image_size
        if frames.ndim != dimensions or frames.dtype != torch.uint8 or frames.shape[-3:] != (size, size, 3):
            raise ModelError(
                f"frames are {str(frames.dtype).removeprefix('torch.')} {list(frames.shape)}: "
                f"the model wants uint8 […, {size}, {size}, 3]; resize them first"
            )
        return frames.to(self.device)


class Contexts:
    """Which row of a code model's cache the next frame of each video belongs to: frame t to context t % frame_skip."""

    def __init__(self, code_model: CodeModel, videos: int, frame_skip: int) -> None:
        self.frame_skip = frame_skip
        self.cache = code_model.cache(videos * frame_skip)
        self._frame = torch.zeros_like(self.cache.frames[:videos])

    def forget(self, videos: Tensor) -> None:
        """Videos `videos` (int64 [n]) begin anew."""
        self._frame[videos] = 0
        self.cache.forget(
            (videos[:, None] * self.frame_skip + torch.arange(self.frame_skip, device=videos.device)).flatten()
        )

    def next(self, videos: Tensor) -> Tensor:
        """The rows of the next frames of videos `videos`, int64 [n]; the videos then move on by a frame."""
        rows = videos * self.frame_skip + self._frame[videos] % self.frame_skip
        self._frame[videos] += 1
        return rows


class VideoStream:
    """See `likelihood.Stream`."""

    def __init__(self, model: VideoModel, videos: int) -> None:
        self._model = model
        self._contexts = Contexts(model.code_model, videos, model.frame_skip)
        self._stream = own_stream(model.device, QUICK)
        self._graphed: dict[int, Graphed] = {}
        """By the number of videos in a step, on a GPU."""

    @torch.no_grad()
    def step(self, index: Tensor, frames: Tensor, task: Tensor, is_first: Tensor) -> Tensor:
        """See `likelihood.Stream.step`. Raises ModelError, and remembers nothing, where frames are not the model's."""
        device = self._model.device
        with on(self._stream):
            frames = self._model._checked(frames, 4)
            self._contexts.forget(index[is_first].to(device))
            inputs = {"index": index.to(device), "frames": frames, "task": task.to(device)}
            if self._stream is None:
                return self._score(inputs)["log_probs"]
            if len(index) not in self._graphed:
                self._graphed[len(index)] = Graphed(self._score, self._stream)
            return self._graphed[len(index)](inputs)["log_probs"].cpu()

    def _score(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        codes = self._model.vqgan.encode(inputs["frames"])  # [n, rows, columns]
        rows = self._contexts.next(inputs["index"])
        log_probs = self._model.code_model.score(self._contexts.cache, rows, codes.flatten(1), inputs["task"])
        return {"log_probs": log_probs.unflatten(1, codes.shape[1:])}


def interleaved_videos(x: Tensor, skip: int) -> Tensor:
    """The `skip` videos of each clip: [batch, time, …] → [batch × skip, ⌈time / skip⌉, …], zeros at the end."""
    missing = -x.shape[1] % skip
    x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1)
    return x.unflatten(1, (-1, skip)).transpose(1, 2).flatten(0, 1)


def videos_interleaved(x: Tensor, skip: int, time: int) -> Tensor:
    """Undo `interleaved_videos`: [batch × skip, ⌈time / skip⌉, …] → [batch, time, …]."""
    return x.unflatten(0, (-1, skip)).transpose(1, 2).flatten(1, 2)[:, :time]


def _renamed(weight: str, part: str, name: str) -> str:
    """The name of a weight of a part of the model under another name of that part."""
    head, dot, tail = weight.partition(".")
    return f"{name if head == part else head}{dot}{tail}"


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    replace_file(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=None).encode())


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"no video model in {path.parent}: {path.name} is missing; has its training finished? "
            "`viper fit` makes models"
        ) from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict) or not document:
        raise ModelError(f"{path} is not of a video model of viper_ros")
    return document


def _read_config(path: Path) -> VideoModelConfig:
    document = _read_yaml(path)
    version = document.pop("version", None)
    if version != VERSION:
        raise ModelError(
            f"{path} is of version {version} of the model folder; this viper_ros reads {VERSION}: train again"
        )
    likelihood = str(document.get("likelihood", "videogpt"))
    if likelihood not in LIKELIHOODS:
        raise ModelError(f"{path} names the likelihood '{likelihood}'; this viper_ros has {', '.join(LIKELIHOODS)}")
    try:
        vqgan = document["vqgan"]
        return VideoModelConfig(
            VQGANConfig(**{**vqgan, "channels": tuple(vqgan["channels"])}),
            LIKELIHOODS[likelihood][0](**document[likelihood]),
            int(document["frame_skip"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is not of a video model of viper_ros: {error}") from error
