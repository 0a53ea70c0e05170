"""What models of a video's codes share: their contract and the transformer that they are made of.

Frames are N codes in raster order. In every layer a token sees tokens of its own frame and of the `context` - 1 frames
before it: a band. Time enters as a rotation (Su et al. 2021) of queries and keys by their frame's index, so only
distances in time matter, and what was computed for a frame stays valid as the band slides.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CodeModelConfig:
    context: int
    """T, the frames that a frame is predicted from, itself included."""
    layers: int
    width: int
    heads: int
    dropout: float

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(f"{self.heads} heads can't share a width of {self.width} in pairs")


def rotation(frame: Tensor, head_dim: int) -> Tensor:
    """Cosines and sines of a frame's rotation, for `rotate`: int64 [...] → float32 [2, ..., head_dim].

    The angles are float64: a float32 angle of a video's millionth frame would be off by a tenth of a radian.
    """
    pairs = torch.arange(head_dim // 2, device=frame.device, dtype=torch.float64)
    angle = frame[..., None] * 1e-4 ** (pairs / len(pairs))
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos, -sin, sin], -1).float().unflatten(-1, (2, head_dim)).movedim(-2, 0)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate x, [..., head_dim], by a `rotation` that broadcasts against it, [2, ..., head_dim].

    The first and the second half of x are the pairs' parts: (a, b) → (a cos - b sin, a sin + b cos).
    """
    cos, sin = rotation.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale and shift depend on the task (FiLM, Perez et al. 2018; as DiT's adaptive layer norm).

    A label that is added at the input alone is all but ignored: where the picture tells what comes next, no gradient
    reaches it.
    """

    def __init__(self, width: int, tasks: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.scale = nn.Embedding.from_pretrained(torch.ones(tasks, width), freeze=False)
        self.shift = nn.Embedding.from_pretrained(torch.zeros(tasks, width), freeze=False)

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """x: [batch, ..., width]; task: int64 [batch]."""
        shape = (len(task), *[1] * (x.ndim - 2), -1)
        return torch.addcmul(self.shift(task).view(shape), self.norm(x), self.scale(task).view(shape))


class Layer(nn.Module):
    def __init__(self, config: CodeModelConfig, tasks: int) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = AdaptiveNorm(width, tasks)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp_norm = AdaptiveNorm(width, tasks)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)
        for last in (self.out, self.mlp_out):  # as GPT-2: the residual stream starts as wide as a shallow model's
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * config.layers))

    def queries_keys_values(self, x: Tensor, task: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[batch, ..., width] and int64 [batch] → three of [batch, ..., heads, head_dim], queries and keys rotated.

        turn: a `rotation` that broadcasts against [2, batch, ..., 2, heads, head_dim].
        """
        qkv = self.qkv(self.attention_norm(x, task)).unflatten(-1, (3, self.heads, -1))
        queries_keys, v = qkv.split((2, 1), -3)
        q, k = rotate(queries_keys, turn).unbind(-3)
        return q, k, v.squeeze(-3)

    def finish(self, x: Tensor, attended: Tensor, task: Tensor) -> Tensor:
        """The rest of the layer. x: [batch, ..., width]; attended: [batch, ..., heads, head_dim]."""
        x = x + self.dropout(self.out(attended.flatten(-2)))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x, task)))))


class Cache:
    """What is kept of the last `context` frames of several videos: a ring of keys and values, a slot a frame."""

    def __init__(
        self,
        videos: int,
        config: CodeModelConfig,
        tokens: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.layers, videos, config.heads, config.context, tokens, config.width // config.heads)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.frames = torch.zeros(videos, dtype=torch.int64, device=device)
        """How many frames each video has had; its next frame's index."""
        self.last_code = torch.zeros(videos, dtype=torch.int64, device=device)
        """Of the last frame; for models whose frames begin where the one before ended."""

    def forget(self, videos: Tensor) -> None:
        """Videos `videos` (int64 [n]) begin anew."""
        self.frames[videos] = 0


def rows(x: Tensor, videos: Tensor) -> Tensor:
    """x[videos] for videos int64 [n]; on a CPU without a copy where there is one."""
    if len(videos) == 1 and x.device.type == "cpu":
        return x.narrow(0, int(videos), 1)
    return x[videos]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of one frame's few queries to many keys.

    q: [n, heads, q, head_dim]; k, v: [n, heads, keys, head_dim]; mask: added to the scores, [n, 1, q, keys].
    """
    if q.device.type != "cpu" or q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, mask)
    # In bfloat16 a CPU's fused attention takes half as long again as its parts.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + mask  # [n, heads, q, keys]
    return scores.softmax(-1) @ v


def chosen(logits: Tensor, codes: Tensor) -> Tensor:
    """The log-probability of each code: float [..., codes], int64 [...] → float32 [...]."""
    return logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0]


class CodeModel(nn.Module, abc.ABC):
    """How likely are the codes of a video, given its task: a transformer over codes and one token that is none."""

    def __init__(self, config: CodeModelConfig, tokens: int, codes: int, tasks: int) -> None:
        """tokens: codes in a frame. codes: size of the codebook."""
        super().__init__()
        self.config = config
        self.tokens = tokens
        self.codes = codes
        self.code_embedding = nn.Embedding(codes + 1, config.width)
        self.position_embedding = nn.Parameter(torch.empty(tokens, config.width))
        self.dropout = nn.Dropout(config.dropout)
        self.layers: Iterable[Layer] = nn.ModuleList(Layer(config, tasks) for _ in range(config.layers))  # type: ignore[assignment]
        self.norm = AdaptiveNorm(config.width, tasks)
        self.head = nn.Linear(config.width, codes)
        for table in (self.code_embedding.weight, self.position_embedding):
            nn.init.normal_(table, std=0.02)

    @property
    def no_code(self) -> int:
        """The token that stands where there is no code."""
        return self.codes

    @property
    def frames_before(self) -> int:
        """How many frames back, at most, the probability of a code depends on: the band of every layer reaches further,
        and a frame may begin with the code where the one before ended.
        """
        return self.config.layers * (self.config.context - 1) + 1

    @property
    def head_dim(self) -> int:
        return self.config.width // self.config.heads

    def embed(self, inputs: Tensor, position: slice) -> Tensor:
        """inputs: int64 [batch, …, tokens of a frame within `position`] → [..., width]."""
        return self.dropout(self.code_embedding(inputs) + self.position_embedding[position])

    def cache(self, videos: int) -> Cache:
        return Cache(videos, self.config, self.tokens, self.head.weight.device, self.head.weight.dtype)

    @abc.abstractmethod
    def loss(self, codes: Tensor, task: Tensor) -> Tensor:
        """What training descends on clips: nats a code, scalar, perhaps a random estimate. Arguments as `log_probs`."""

    @abc.abstractmethod
    def log_probs(self, codes: Tensor, task: Tensor) -> Tensor:
        """Log-probability of every code of clips. codes: int64 [batch, time, tokens]; task: int64 [batch].

        Returns float32 [batch, time, tokens].
        """

    @abc.abstractmethod
    def score(self, cache: Cache, videos: Tensor, codes: Tensor, task: Tensor) -> Tensor:
        """Log-probability of each code of the next frame of videos `videos` (int64 [n]), and remember the frame.

        The numbers of `log_probs`. codes: int64 [n, tokens]; task: int64 [n]. Returns float32 [n, tokens].
        """

    @abc.abstractmethod
    def sample(self, cache: Cache, videos: Tensor, task: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the next frame of videos `videos` (int64 [n]), and remember it. Returns int64 [n, tokens]."""
