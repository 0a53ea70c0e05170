"""The video model: a tokenizer and models of its codes as one `reward.likelihood.LikelihoodModel`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from viper_model.errors import ModelError
from viper_model.reward.likelihood import Calibration, CodeLogProbs
from viper_model.torch_tools.cuda_graphs import Graphed
from viper_model.torch_tools.cuda_streams import QUICK, on, own_stream
from viper_model.torch_tools.inference import pack_layers
from viper_model.torch_tools.precision import chosen_precision
from viper_model.video_model.code_model import CodeModel
from viper_model.video_model.folder import load_model_weights, read_calibration, read_config, save_model
from viper_model.video_model.sizes import CODE_MODELS, VideoModelConfig
from viper_model.video_model.tokenizers import TOKENIZERS

FRAMES_AT_ONCE = 512
"""Of a video; a longer one is gone through in parts, so that memory is bounded."""


class VideoModel(nn.Module):
    """Answers the three questions of `reward.likelihood.LikelihoodModel`."""

    def __init__(self, config: VideoModelConfig, tasks: tuple[str, ...], *, background: bool = False) -> None:
        """background: with a second code model, of behaviour that is not the task."""
        super().__init__()
        self.config = config
        self.tasks = tasks
        self.image_size = config.tokenizer.image_size
        self.tokenizer_name = next(name for name, (kind, _) in TOKENIZERS.items() if type(config.tokenizer) is kind)
        self.code_model_name = next(name for name, (kind, _) in CODE_MODELS.items() if type(config.code_model) is kind)
        self.context = config.code_model.context
        self.frame_skip = config.frame_skip
        self.has_background = background
        self.calibration: dict[str, Calibration] = {}
        """By task; empty until measured."""
        self.tokenizer = TOKENIZERS[self.tokenizer_name][1](config.tokenizer)
        self.code_model = self._make_code_model(len(tasks))
        # What is not a task has no label: an unseen scene is as little the task's as a seen one.
        self.background = self._make_code_model(1) if background else None
        self.eval()

    def _make_code_model(self, tasks: int) -> CodeModel:
        kind, tokenizer = CODE_MODELS[self.code_model_name][1], self.config.tokenizer
        return kind(self.config.code_model, tokenizer.grid**2, tokenizer.codes, tasks)

    @property
    def device(self) -> torch.device:
        return self.code_model.head.weight.device

    def task_index(self, task: str) -> int:
        """The number that stands for a task. Raises ModelError where the model was not trained on it."""
        if task not in self.tasks:
            raise ModelError(f"the model knows no task '{task}': choose one of {', '.join(self.tasks)}")
        return self.tasks.index(task)

    @torch.no_grad()
    def log_probs(self, frames: Tensor, task: Tensor, *, background: bool = False) -> CodeLogProbs:
        """See `LikelihoodModel.log_probs`. Raises ModelError where frames are not the model's."""
        parts = self.checked(frames, 5).split(FRAMES_AT_ONCE, 1)
        codes = torch.cat([self.tokenizer.encode(part) for part in parts], 1)  # [batch, time, rows, columns]
        return CodeLogProbs(
            self.code_log_probs(self.code_model, codes, task.to(self.device)),
            self.code_log_probs(self.background_model(), codes, self.no_task(len(codes))) if background else None,
        )

    @torch.no_grad()
    def code_log_probs(self, code_model: CodeModel, codes: Tensor, task: Tensor) -> Tensor:
        """Of clips that are encoded already: int64 [batch, time, rows, columns] → float32, same shape."""
        time, grid = codes.shape[1], codes.shape[2:]
        videos = interleaved_videos(codes.flatten(2), self.frame_skip)
        task, length = task.repeat_interleave(self.frame_skip), videos.shape[1]
        parts = []
        for begin in range(0, length, FRAMES_AT_ONCE):
            first = max(0, begin - code_model.frames_before)
            part = code_model.log_probs(videos[:, first : begin + FRAMES_AT_ONCE], task)
            parts.append(part[:, begin - first :])
        log_probs = torch.cat(parts, 1)
        return videos_interleaved(log_probs, self.frame_skip, time).unflatten(2, grid)

    def background_model(self) -> CodeModel:
        """Raises ModelError where the model has none."""
        if self.background is None:
            raise ModelError(
                "this model has no background, which a reward of the form `ratio` needs: fit it with background:=auto, "
                "or choose the form conditional"
            )
        return self.background

    def no_task(self, n: int) -> Tensor:
        """The background's label, int64 [n]."""
        return torch.zeros(n, dtype=torch.int64, device=self.device)

    def stream(self, videos: int, *, background: bool = False) -> VideoStream:
        """See `LikelihoodModel.stream`. Raises ModelError where there is no background."""
        return VideoStream(self, videos, background)

    @torch.no_grad()
    def imagine(self, frames: Tensor, task: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """See `LikelihoodModel.imagine`. generator: of the model's device. Raises ModelError as `log_probs` does."""
        frames, task = self.checked(frames, 5), task.to(self.device)
        videos = torch.arange(len(frames), device=self.device)
        contexts = Contexts(self.code_model, len(frames), self.frame_skip)
        for codes in self.tokenizer.encode(frames).flatten(2).unbind(1):
            self.code_model.score(contexts.cache, contexts.next(videos), codes, task)
        imagined = [
            self.code_model.sample(contexts.cache, contexts.next(videos), task, generator) for _ in range(steps)
        ]
        grid = self.config.tokenizer.grid
        return self.tokenizer.decode(torch.stack(imagined, 1).unflatten(2, (grid, grid)))

    def prepare_for_inference(self, precision: str = "float32") -> None:
        """Make the model faster where it is. It can't be trained or saved any more.

        precision: of the transformers, one of PRECISION_CHOICES. `bfloat16` moves a frame's likelihood by some 0.05
        nats (docs/speed.md). The tokenizer stays in float32: rounding it gives another code wherever two are about as
        near, and some frames tens of nats with them.
        Raises ModelError where there is no such precision.
        """
        dtype = getattr(torch, chosen_precision(precision, self.device, self.config.code_model.width))
        for code_model in filter(None, (self.code_model, self.background)):
            code_model.to(dtype)
        if self.device.type == "cpu":
            pack_layers(self)

    def save(self, folder: Path) -> None:
        """Write the model to a folder: `model.safetensors`, `tasks.yaml` and, when those are whole, `config.yaml`."""
        save_model(self, folder)

    @staticmethod
    def load(folder: Path, device: torch.device | str = "cpu") -> VideoModel:
        """Read what `save` wrote. Raises ModelError where something is missing, cut short or foreign."""
        config, background = read_config(folder)
        calibration = read_calibration(folder)
        try:
            model = VideoModel(config, tuple(calibration), background=background)
        except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
            raise ModelError(f"config.yaml in {folder} is damaged: {error}") from error
        model.calibration = calibration
        load_model_weights(model, folder)
        return model.to(device)

    def checked(self, frames: Tensor, dimensions: int) -> Tensor:
        """The frames on the model's device. Raises ModelError where they are not the model's."""
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
    """See `reward.likelihood.LikelihoodStream`."""

    def __init__(self, model: VideoModel, videos: int, background: bool) -> None:
        self._model = model
        self._background = model.background_model() if background else None
        self._contexts = Contexts(model.code_model, videos, model.frame_skip)
        self._background_contexts = Contexts(self._background, videos, model.frame_skip) if self._background else None
        self._stream = own_stream(model.device, QUICK)
        self._graphed: dict[int, Graphed] = {}
        """By the number of videos in a step, on a GPU."""

    @torch.no_grad()
    def step(self, index: Tensor, frames: Tensor, task: Tensor, is_first: Tensor) -> CodeLogProbs:
        """See `LikelihoodStream.step`. Raises ModelError, and remembers nothing, where frames are not the model's."""
        device = self._model.device
        with on(self._stream):
            frames = self._model.checked(frames, 4)
            for contexts in filter(None, (self._contexts, self._background_contexts)):
                contexts.forget(index[is_first].to(device))
            inputs = {"index": index.to(device), "frames": frames, "task": task.to(device)}
            if self._stream is None:
                scored = self._score(inputs)
            else:
                if len(index) not in self._graphed:
                    self._graphed[len(index)] = Graphed(self._score, self._stream)
                scored = {name: tensor.cpu() for name, tensor in self._graphed[len(index)](inputs).items()}
            return CodeLogProbs(scored["task"], scored.get("background"))

    def _score(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        codes = self._model.tokenizer.encode(inputs["frames"])  # [n, rows, columns]
        tokens, grid = codes.flatten(1), codes.shape[1:]
        rows = self._contexts.next(inputs["index"])
        log_probs = self._model.code_model.score(self._contexts.cache, rows, tokens, inputs["task"])
        scored = {"task": log_probs.unflatten(1, grid)}
        if self._background and self._background_contexts:
            rows = self._background_contexts.next(inputs["index"])
            no_task = torch.zeros_like(inputs["task"])
            log_probs = self._background.score(self._background_contexts.cache, rows, tokens, no_task)
            scored["background"] = log_probs.unflatten(1, grid)
        return scored


def interleaved_videos(x: Tensor, skip: int) -> Tensor:
    """The `skip` videos of each clip: [batch, time, …] → [batch × skip, ⌈time / skip⌉, …], zeros at the end."""
    missing = -x.shape[1] % skip
    x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1)
    return x.unflatten(1, (-1, skip)).transpose(1, 2).flatten(0, 1)


def videos_interleaved(x: Tensor, skip: int, time: int) -> Tensor:
    """Undo `interleaved_videos`: [batch × skip, ⌈time / skip⌉, …] → [batch, time, …]."""
    return x.unflatten(0, (-1, skip)).transpose(1, 2).flatten(1, 2)[:, :time]
