"""A causal transformer over the codes of a video (Yan et al. 2021, "VideoGPT"), over whole clips or as a stream.

The token that predicts a code sees the code before it: a clip's codes are shifted right by one, with a token that is no
code before the first. In every layer a token attends to its own frame causally, and to all tokens of its band's past.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from viper_model.video_model.code_model import (
    Cache,
    CodeModel,
    CodeModelConfig,
    attend,
    chosen,
    rotation,
    rows,
)


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
    block = min(context, time - context) if torch.is_grad_enabled() else math.ceil(context / 4)
    missing = -(time - context) % block
    q, k, v = (F.pad(x, (0, 0, 0, 0, 0, 0, 0, missing)) for x in (q, k, v))
    k, v = (x[:, 1:].unfold(1, context - 1 + block, block).movedim(-1, 2).flatten(0, 1) for x in (k, v))
    q = q[:, context:].reshape(-1, block, tokens, heads, head_dim)
    rest = attend(q, k, v, band_mask(context, block, tokens, q.device))
    rest = rest.reshape(batch, -1, tokens, heads, head_dim)
    return torch.cat([begin, rest[:, : time - context]], 1)


@dataclass(frozen=True)
class VideoGPTConfig(CodeModelConfig):
    """Selects a VideoGPT."""


class VideoGPT(CodeModel):
    """p(codes of a video | task)."""

    def forward(self, codes: Tensor, task: Tensor) -> Tensor:
        """Logits of every code of clips. codes: int64 [batch, time, tokens]; task: int64 [batch].

        Returns float [batch, time, tokens, codes].
        """
        time, tokens = codes.shape[1:]
        shifted = F.pad(codes.flatten(1)[:, :-1], (1, 0), value=self.no_code).reshape(codes.shape)
        x = self.embed(shifted, slice(0, tokens))  # [batch, time, tokens, width]
        turn = rotation(torch.arange(time, device=codes.device), self.head_dim)[:, :, None, None, None]
        for layer in self.layers:
            x = layer.finish(x, banded_attention(*layer.queries_keys_values(x, task, turn), self.config.context), task)
        return self.head(self.norm(x, task))

    def loss(self, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.loss`."""
        return -self.log_probs(codes, task).mean()

    def log_probs(self, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.log_probs`."""
        return chosen(self(codes, task), codes)

    @torch.no_grad()
    def score(self, cache: Cache, videos: Tensor, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.score`."""
        inputs = torch.cat([self._code_before(cache, videos)[:, None], codes[:, :-1]], 1)
        logits = self._advance(cache, videos, inputs, task, 0)
        self._end_frame(cache, videos, codes)
        return chosen(logits, codes)

    @torch.no_grad()
    def sample(self, cache: Cache, videos: Tensor, task: Tensor, generator: torch.Generator) -> Tensor:
        """See `CodeModel.sample`: code by code."""
        codes = [self._code_before(cache, videos)]
        for position in range(self.tokens):
            logits = self._advance(cache, videos, codes[-1][:, None], task, position)[:, 0]
            codes.append(torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0])
        frame = torch.stack(codes[1:], 1)
        self._end_frame(cache, videos, frame)
        return frame

    def _code_before(self, cache: Cache, videos: Tensor) -> Tensor:
        return torch.where(cache.frames[videos] == 0, self.no_code, cache.last_code[videos])

    def _end_frame(self, cache: Cache, videos: Tensor, codes: Tensor) -> None:
        cache.last_code[videos] = codes[:, -1]
        cache.frames[videos] += 1

    def _advance(self, cache: Cache, videos: Tensor, inputs: Tensor, task: Tensor, begin: int) -> Tensor:
        """Logits after `inputs` (int64 [n, q]), the tokens from `begin` on of the frame that each video is at."""
        position = slice(begin, begin + inputs.shape[1])
        frame = cache.frames[videos]  # [n]
        slot = frame % self.config.context
        mask = self._ring_mask(frame, position)
        turn = rotation(frame, self.head_dim)[:, :, None, None, None]  # [2, n, 1, 1, 1, head_dim]
        x = self.embed(inputs, position)  # [n, q, width]
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            query, key, value = layer.queries_keys_values(x, task, turn)  # [n, q, heads, head_dim]
            keys[videos, :, slot, position] = key.transpose(1, 2)
            values[videos, :, slot, position] = value.transpose(1, 2)
            attended = attend(
                query.transpose(1, 2),
                rows(keys, videos).flatten(2, 3),
                rows(values, videos).flatten(2, 3),
                mask,
            )  # [n, heads, q, head_dim]
            x = layer.finish(x, attended.transpose(1, 2), task)
        return self.head(self.norm(x, task))

    def _ring_mask(self, frame: Tensor, position: slice) -> Tensor:
        """Which slots hold a frame of the band, and how much of the current frame each query sees.

        frame: int64 [n], each video's current frame. Returns [n, 1, q, context × tokens]: 0, or -∞ for what is hidden.
        """
        context, tokens = self.config.context, self.tokens
        dtype, device = self.head.weight.dtype, frame.device
        age = (frame[:, None] - torch.arange(context, device=device)) % context  # [n, context], 0: the frame
        empty = torch.zeros(age.shape, dtype=dtype, device=device).masked_fill_(age > frame[:, None], -torch.inf)
        later = torch.full((tokens, tokens), -torch.inf, dtype=dtype, device=device).triu_(1)[position]  # [q, tokens]
        hidden = empty[:, None, :, None].repeat(1, len(later), 1, tokens)  # [n, q, context, tokens]
        hidden[torch.arange(len(frame), device=device), :, frame % context] = later
        return hidden.flatten(2)[:, None]
