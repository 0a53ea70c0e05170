"""A masked model of a video's codes: absorbing diffusion over a frame's codes, given the frames before it.

Absorbing diffusion is order-agnostic autoregression (Hoogeboom et al. 2022, "Autoregressive Diffusion Models"). Huang
et al. (2024, "Diffusion Reward") make rewards from such a model of codes. Here the codes of a frame lie in a few
blocks, each spread evenly over the picture. A frame is revealed block by block in a random order; the codes of a block
are predicted at once, each on its own, from the blocks revealed so far and from the frames before.

The likelihood of a frame x under that sampler is ln E_σ p(x | σ) over the K! orders σ of its K blocks. By Jensen's
inequality (Uria et al. 2014; Hoogeboom et al. 2022, section 2, with blocks for single codes) it has a lower bound:

    ln E_σ p(x | σ)  ≥  E_σ ln p(x | σ)  =  Σ_i E_σ ln p(x_i | the blocks before i's in σ, past frames).

The right side is what this model answers, and each term of the sum is what it says of code i. It is no estimate: what a
code is predicted from is a set of blocks, so the mean over K! orders is a weighted sum over 2^K sets. A set of k blocks
is just what comes before another block with probability k! (K - 1 - k)! / K!.

Each of those sets makes a variant of the frame, in which the codes outside of it are masked. Tokens see their own
variant, in both directions, and of the past frames the variants that mask nothing.
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


@dataclass(frozen=True)
class MaskedConfig(CodeModelConfig):
    """Selects a masked model."""

    blocks: int = 3
    """K. With more, fewer codes are predicted apart from each other; each doubles the work."""


def block_of_code(tokens: int, blocks: int) -> Tensor:
    """Which block each code of a square grid is in, neighbours in different ones: int64 [tokens], raster order."""
    side = math.isqrt(tokens)
    row, column = torch.arange(side)[:, None], torch.arange(side)
    return ((row + max(1, blocks // 2) * column) % blocks).flatten()


def visible(past: int, frames: int, variants: int, tokens: int, context: int, device: torch.device) -> Tensor:
    """What the variants of `frames` frames see: of the `past` frames before and all but the last of their own, and then
    of all their variants.

    Returns bool [frames × variants × tokens, (past + frames - 1 + frames × variants) × tokens].
    """
    variant = torch.arange(frames * variants, device=device).repeat_interleave(tokens)
    frame = variant[:, None] // variants
    before = torch.arange(-past, frames - 1, device=device).repeat_interleave(tokens)
    return torch.cat([(before < frame) & (before > frame - context), variant == variant[:, None]], 1)


class MaskedModel(CodeModel):
    """A lower bound of p(codes of a video | task)."""

    config: MaskedConfig
    sets: Tensor
    orders: Tensor
    block: Tensor

    def __init__(self, config: MaskedConfig, tokens: int, codes: int, tasks: int) -> None:
        """tokens: codes in a frame, a square grid. codes: size of the codebook."""
        super().__init__(config, tokens, codes, tasks)
        blocks = config.blocks
        block = block_of_code(tokens, blocks)
        chosen_blocks = torch.arange(2**blocks)[:, None] >> torch.arange(blocks) & 1  # [2^K, K]
        size = chosen_blocks.sum(1)
        orders = [math.factorial(k) * math.factorial(max(0, blocks - 1 - k)) for k in size.tolist()]
        sets = chosen_blocks.bool()[:, block]
        # All sets of blocks, from none to all: which codes they reveal, bool [2^K, tokens],
        self.register_buffer("sets", sets, persistent=False)
        # and in how many of the K! orders of blocks each is just what came before a code, int64 [2^K, tokens].
        self.register_buffer("orders", torch.where(sets, 0, torch.tensor(orders)[:, None]), persistent=False)
        self.register_buffer("block", block, persistent=False)

    @property
    def _probability(self) -> Tensor:
        """Of each set of blocks that it is just what came before a code, float32 [2^K, tokens], whatever the weights'
        precision."""
        return self.orders / math.factorial(self.config.blocks)

    def forward(self, codes: Tensor, task: Tensor, revealed: Tensor) -> Tensor:
        """Log-probability of every code of clips where a frame shows some of its codes, and the frames before it all.

        codes: int64 [batch, time, tokens]; task: int64 [batch]; revealed: bool [batch, time, variants, tokens].
        Returns float32 [batch, time, variants, tokens]; what it says of revealed codes means nothing.
        """
        context = self.config.context
        revealed = F.pad(revealed, (0, 0, 0, 1), value=True)  # the variant that later frames see
        inputs = torch.where(revealed, codes[:, :, None], self.no_code)
        variants = inputs.shape[2]
        past: dict[int, tuple[Tensor, Tensor]] = {}
        log_probs = []
        # Blocks of frames about as long in tokens as the band, so that their mask hides about half of what is computed.
        step = max(1, context // variants)
        for begin in range(0, codes.shape[1], step):
            # [batch, frames, variants, tokens, width]
            x = self.embed(inputs[:, begin : begin + step], slice(None))
            frames = x.shape[1]
            seen = visible(min(begin, context - 1), frames, variants, self.tokens, context, x.device)
            turn = rotation(torch.arange(begin, begin + frames, device=x.device), self.head_dim)
            turn = turn[:, :, None, None, None, None]
            for number, layer in enumerate(self.layers):
                q, k, v = layer.queries_keys_values(x, task, turn)  # [batch, frames, variants, tokens, heads, head_dim]
                # [batch, past frames, tokens, heads, head_dim]
                past_k, past_v = past.get(number, (k[:, :0, -1], v[:, :0, -1]))
                past_k, past_v = torch.cat([past_k, k[:, :, -1]], 1), torch.cat([past_v, v[:, :, -1]], 1)
                keys = torch.cat([past_k[:, :-1].flatten(1, 2), k.flatten(1, 3)], 1)
                values = torch.cat([past_v[:, :-1].flatten(1, 2), v.flatten(1, 3)], 1)
                attended = F.scaled_dot_product_attention(
                    q.flatten(1, 3).transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), seen
                )  # [batch, heads, frames × variants × tokens, head_dim]
                kept = max(0, past_k.shape[1] - (context - 1))
                past[number] = past_k[:, kept:], past_v[:, kept:]
                x = layer.finish(x, attended.transpose(1, 2).unflatten(1, q.shape[1:4]), task)
            logits = self.head(self.norm(x[:, :, :-1], task))  # [batch, frames, variants - 1, tokens, codes]
            log_probs.append(chosen(logits, codes[:, begin : begin + step, None].expand(logits.shape[:-1])))
        return torch.cat(log_probs, 1)

    def loss(self, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.loss`: minus the bound, estimated from one random set of blocks a frame.

        All codes outside of it are predicted, so that its mean is the bound (Hoogeboom et al. 2022, section 3).
        """
        blocks = self.config.blocks
        size = torch.randint(blocks, codes.shape[:2], device=codes.device)[..., None]  # [batch, time, 1]
        rank = torch.rand(*codes.shape[:2], blocks, device=codes.device).argsort(-1)  # [batch, time, blocks]
        revealed = (rank < size)[..., self.block]  # [batch, time, tokens]
        log_probs = self(codes, task, revealed[:, :, None])[:, :, 0]
        return -(log_probs * ~revealed * blocks / (blocks - size)).mean()

    def log_probs(self, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.log_probs` and, for what they mean, this module."""
        revealed = self.sets[:-1].expand(*codes.shape[:2], -1, -1)
        return (self(codes, task, revealed) * self._probability[:-1]).sum(2)

    @torch.no_grad()
    def score(self, cache: Cache, videos: Tensor, codes: Tensor, task: Tensor) -> Tensor:
        """See `CodeModel.score`."""
        variants = codes[:, None].expand(-1, len(self.sets), -1)
        logits = self._advance(cache, videos, torch.where(self.sets, variants, self.no_code), task)
        cache.frames[videos] += 1
        return (chosen(logits, variants) * self._probability).sum(1)

    @torch.no_grad()
    def sample(self, cache: Cache, videos: Tensor, task: Tensor, generator: torch.Generator) -> Tensor:
        """See `CodeModel.sample`: block by block, each video in its own random order."""
        blocks = self.config.blocks
        order = torch.rand(len(videos), blocks, generator=generator, device=videos.device).argsort(-1)
        codes = torch.full([len(videos), self.tokens], self.no_code, device=videos.device)
        for step in range(blocks):
            logits = self._advance(cache, videos, codes[:, None], task)[:, 0]  # [n, tokens, codes]
            drawn = torch.multinomial(logits.float().softmax(-1).flatten(0, 1), 1, generator=generator)
            codes = torch.where(self.block == order[:, step, None], drawn.reshape(codes.shape), codes)
        self._advance(cache, videos, codes[:, None], task)
        cache.frames[videos] += 1
        return codes

    def _advance(self, cache: Cache, videos: Tensor, inputs: Tensor, task: Tensor) -> Tensor:
        """Logits of variants of the frame that each video is at; of the last one, keys and values go into the ring.

        inputs: int64 [n, variants, tokens]. Returns float [n, variants, tokens, codes].
        """
        variants = inputs.shape[1]
        frame = cache.frames[videos]  # [n]
        slot = frame % self.config.context
        mask = self._ring_mask(frame, variants)
        turn = rotation(frame, self.head_dim)[:, :, None, None, None, None]  # [2, n, 1, 1, 1, 1, head_dim]
        x = self.embed(inputs, slice(None))  # [n, variants, tokens, width]
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            # [n, heads, variants, tokens, head_dim]
            q, k, v = (y.permute(0, 3, 1, 2, 4) for y in layer.queries_keys_values(x, task, turn))
            attended = attend(
                q.flatten(2, 3),
                torch.cat([rows(keys, videos).flatten(2, 3), k.flatten(2, 3)], 2),
                torch.cat([rows(values, videos).flatten(2, 3), v.flatten(2, 3)], 2),
                mask,
            )  # [n, heads, variants × tokens, head_dim]
            keys[videos, :, slot], values[videos, :, slot] = k[:, :, -1], v[:, :, -1]
            x = layer.finish(x, attended.transpose(1, 2).unflatten(1, (variants, self.tokens)), task)
        return self.head(self.norm(x, task))

    def _ring_mask(self, frame: Tensor, variants: int) -> Tensor:
        """Which slots hold a frame before the one that a video is at, and then which of its variants each query sees.

        frame: int64 [n], each video's current frame.
        Returns [n, 1, variants × tokens, (context + variants) × tokens]: 0, or -∞ for what is hidden.
        """
        context = self.config.context
        age = (frame[:, None] - torch.arange(context, device=frame.device)) % context  # [n, context], 0 is written next
        past = ((age > 0) & (age <= frame[:, None])).repeat_interleave(self.tokens, 1)  # [n, context × tokens]
        variant = torch.arange(variants, device=frame.device).repeat_interleave(self.tokens)
        own = variant == variant[:, None]  # [variants × tokens, variants × tokens]
        n, queries = len(frame), len(variant)
        seen = torch.cat([past[:, None].expand(n, queries, -1), own.expand(n, -1, -1)], -1)
        hidden = torch.zeros(seen.shape, dtype=self.head.weight.dtype, device=seen.device)
        return hidden.masked_fill_(~seen, -torch.inf)[:, None]
