"""A causal transformer over the codes of a film (Yan et al. 2021, "VideoGPT"), over whole clips or as a stream.

A frame is N codes in raster order. The token that predicts a code sees the code before it: a clip's codes are shifted
right by one, with a start token before the first. In every layer a token attends to its own frame (causally) and to all
tokens of the `context` - 1 frames before it: a band. Time enters as a rotation (Su et al. 2021) of queries and keys by
their frame's index, so only distances in time matter, and what was computed for a frame stays valid as the band slides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class VideoGPTConfig:
    context: int
    """T, the frames that a frame is predicted from, itself included."""
    layers: int
    width: int
    heads: int
    dropout: float


def rotation(frame: Tensor, head_dim: int) -> Tensor:
    """Cosines and sines of a frame's rotation: int64 [...] → float32 [2, ..., head_dim / 2].

    The angles are float64: a float32 angle of a film's millionth frame would be off by a tenth of a radian.
    """
    pairs = torch.arange(head_dim // 2, device=frame.device, dtype=torch.float64)
    angle = frame[..., None] * 1e-4 ** (pairs / len(pairs))
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate x, [..., head_dim], by a `rotation` that broadcasts against its pairs, [2, ..., head_dim / 2]."""
    cos, sin = rotation.to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def band_mask(context: int, block: int, tokens: int, device: torch.device) -> Tensor:
    """What `block` frames of queries may see of the `context` - 1 frames before them and of themselves.

    Returns bool [block × tokens, (context - 1 + block) × tokens].
    """
    index = torch.arange((context - 1 + block) * tokens, device=device)
    key, query = index, index[(context - 1) * tokens :, None]
    return (key <= query) & (key // tokens > query // tokens - context)


def banded_attention(q: Tensor, k: Tensor, v: Tensor, context: int) -> Tensor:
    """Attention within the band, in time linear in the clip's length.

    q, k, v: [batch, time, tokens, heads, head_dim]; returns the same shape. The first `context` frames see everything
    before them. The others go by blocks of frames, each with the keys of all its frames, through one mask.
    """
    batch, time, tokens, heads, head_dim = q.shape

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        # [blocks, frames, tokens, heads, head_dim] → [blocks, heads, frames × tokens, head_dim] and back
        q, k, v = (x.flatten(1, 2).transpose(1, 2) for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
        return y.transpose(1, 2).unflatten(1, (-1, tokens))

    begin = attend(q[:, :context], k[:, :context], v[:, :context], None)
    if time <= context:
        return begin
    # Short blocks waste less time on what the mask hides, but copy each key more often, and training keeps the copies.
    block = context if torch.is_grad_enabled() else math.ceil(context / 4)
    missing = -(time - context) % block
    q, k, v = (F.pad(x, (0, 0, 0, 0, 0, 0, 0, missing)) for x in (q, k, v))
    k, v = (x[:, 1:].unfold(1, context - 1 + block, block).movedim(-1, 2).flatten(0, 1) for x in (k, v))
    q = q[:, context:].reshape(-1, block, tokens, heads, head_dim)
    rest = attend(q, k, v, band_mask(context, block, tokens, q.device))
    rest = rest.reshape(batch, -1, tokens, heads, head_dim)
    return torch.cat([begin, rest[:, : time - context]], 1)


class Layer(nn.Module):
    def __init__(self, config: VideoGPTConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)
        for last in (self.out, self.mlp_out):  # as GPT-2: the residual stream starts as wide as a shallow model's
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * config.layers))

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[..., width] → three of [..., heads, head_dim]."""
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return q, k, v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer. x: [..., width]; attended: [..., heads, head_dim]."""
        x = x + self.dropout(self.out(attended.flatten(-2)))
        return x + self.dropout(self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x)))))


class Cache:
    """What is kept of the last `context` frames of several films: a ring of keys and values, a slot a frame."""

    def __init__(
        self, films: int, config: VideoGPTConfig, tokens: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        shape = (config.layers, films, config.heads, config.context, tokens, config.width // config.heads)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.frames = torch.zeros(films, dtype=torch.int64, device=device)
        """How many frames each film has had; its next frame's index."""
        self.last_code = torch.zeros(films, dtype=torch.int64, device=device)

    def forget(self, films: Tensor) -> None:
        """Films `films` (int64 [n]) begin anew."""
        self.frames[films] = 0


def rows(x: Tensor, films: Tensor) -> Tensor:
    """x[films] for films int64 [n]; on a CPU without a copy where there is one."""
    if len(films) == 1 and x.device.type == "cpu":
        return x.narrow(0, int(films), 1)
    return x[films]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of one frame's few queries to many keys.

    q: [n, heads, q, head_dim]; k, v: [n, heads, keys, head_dim]; mask: added to the scores, [n, 1, q, keys].
    """
    if q.device.type != "cpu" or q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, mask)
    # In bfloat16 a CPU's fused attention takes half as long again as its parts.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + mask  # [n, heads, q, keys]
    return scores.softmax(-1) @ v


class VideoGPT(nn.Module):
    """p(codes of a film | task)."""

    def __init__(self, config: VideoGPTConfig, tokens: int, codes: int, tasks: int) -> None:
        """tokens: codes in a frame. codes: size of the codebook."""
        super().__init__()
        self.config = config
        self.tokens = tokens
        self.codes = codes
        self.code_embedding = nn.Embedding(codes + 1, config.width)
        self.position_embedding = nn.Parameter(torch.empty(tokens, config.width))
        self.task_embedding = nn.Embedding(tasks, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers: Iterable[Layer] = nn.ModuleList(Layer(config) for _ in range(config.layers))  # type: ignore[assignment]
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, codes)
        for table in (self.code_embedding.weight, self.position_embedding, self.task_embedding.weight):
            nn.init.normal_(table, std=0.02)

    @property
    def start(self) -> int:
        """The token before a film's first code."""
        return self.codes

    @property
    def head_dim(self) -> int:
        return self.config.width // self.config.heads

    def forward(self, codes: Tensor, task: Tensor) -> Tensor:
        """Logits of every code of clips. codes: int64 [batch, time, tokens]; task: int64 [batch].

        Returns float [batch, time, tokens, codes].
        """
        time, tokens = codes.shape[1:]
        shifted = F.pad(codes.flatten(1)[:, :-1], (1, 0), value=self.start).reshape(codes.shape)
        x = self.embed(shifted, task, slice(0, tokens))  # [batch, time, tokens, width]
        turn = rotation(torch.arange(time, device=codes.device), self.head_dim)[:, :, None, None]
        for layer in self.layers:
            q, k, v = layer.queries_keys_values(x)
            x = layer.finish(x, banded_attention(rotate(q, turn), rotate(k, turn), v, self.config.context))
        return self.head(self.norm(x))

    def log_probs(self, codes: Tensor, task: Tensor) -> Tensor:
        """Log-probability of every code of clips, float32 [batch, time, tokens]. Arguments as for `forward`."""
        return chosen(self(codes, task), codes)

    def embed(self, inputs: Tensor, task: Tensor, position: slice) -> Tensor:
        """inputs: int64 [batch, …, tokens of a frame within `position`] → [..., width]."""
        task_vector = self.task_embedding(task).reshape(len(task), *[1] * (inputs.ndim - 1), -1)
        return self.dropout(self.code_embedding(inputs) + self.position_embedding[position] + task_vector)

    def cache(self, films: int) -> Cache:
        return Cache(films, self.config, self.tokens, self.head.weight.device, self.head.weight.dtype)

    @torch.no_grad()
    def score(self, cache: Cache, films: Tensor, codes: Tensor, task: Tensor) -> Tensor:
        """Log-probability of each code of the next frame of films `films` (int64 [n]), and remember the frame.

        codes: int64 [n, tokens]; task: int64 [n]. Returns float32 [n, tokens].
        """
        inputs = torch.cat([self._code_before(cache, films)[:, None], codes[:, :-1]], 1)
        logits = self._advance(cache, films, inputs, task, 0)
        self._end_frame(cache, films, codes)
        return chosen(logits, codes)

    @torch.no_grad()
    def sample(self, cache: Cache, films: Tensor, task: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the next frame of films `films` (int64 [n]) code by code, and remember it. Returns int64 [n, tokens]."""
        codes = [self._code_before(cache, films)]
        for position in range(self.tokens):
            logits = self._advance(cache, films, codes[-1][:, None], task, position)[:, 0]
            codes.append(torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0])
        frame = torch.stack(codes[1:], 1)
        self._end_frame(cache, films, frame)
        return frame

    def _code_before(self, cache: Cache, films: Tensor) -> Tensor:
        return torch.where(cache.frames[films] == 0, self.start, cache.last_code[films])

    def _end_frame(self, cache: Cache, films: Tensor, codes: Tensor) -> None:
        cache.last_code[films] = codes[:, -1]
        cache.frames[films] += 1

    def _advance(self, cache: Cache, films: Tensor, inputs: Tensor, task: Tensor, begin: int) -> Tensor:
        """Logits after `inputs` (int64 [n, q]), the tokens from `begin` on of the frame that each film is at."""
        position = slice(begin, begin + inputs.shape[1])
        frame = cache.frames[films]  # [n]
        slot = frame % self.config.context
        mask = self._ring_mask(frame, position)
        turn = rotation(frame, self.head_dim)[:, :, None, None]  # [2, n, 1, 1, head_dim / 2]
        x = self.embed(inputs, task, position)  # [n, q, width]
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            query, key, value = layer.queries_keys_values(x)  # [n, q, heads, head_dim]
            keys[films, :, slot, position] = rotate(key, turn).transpose(1, 2)
            values[films, :, slot, position] = value.transpose(1, 2)
            attended = attend(
                rotate(query, turn).transpose(1, 2),
                rows(keys, films).flatten(2, 3),
                rows(values, films).flatten(2, 3),
                mask,
            )  # [n, heads, q, head_dim]
            x = layer.finish(x, attended.transpose(1, 2))
        return self.head(self.norm(x))

    def _ring_mask(self, frame: Tensor, position: slice) -> Tensor:
        """Which slots hold a frame of the band, and how much of the current frame each query sees.

        frame: int64 [n], each film's current frame. Returns [n, 1, q, context × tokens]: 0, or -∞ for what is hidden.
        """
        context = self.config.context
        age = (
            frame[:, None] - torch.arange(context, device=frame.device)
        ) % context  # [n, context], 0 is the frame itself
        token = torch.arange(self.tokens, device=frame.device)
        causal = token <= token[position, None]  # [q, tokens]
        past = (age > 0) & (age <= frame[:, None])  # [n, context]
        seen = torch.where(
            age[:, None, :, None] == 0, causal[:, None], past[:, None, :, None]
        )  # [n, q, context, tokens]
        hidden = torch.zeros(seen.shape, dtype=self.head.weight.dtype, device=seen.device).masked_fill_(
            ~seen, -torch.inf
        )
        return hidden.flatten(2)[:, None]


def chosen(logits: Tensor, codes: Tensor) -> Tensor:
    """The log-probability of each code: float [..., codes], int64 [...] → float32 [...]."""
    return logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
