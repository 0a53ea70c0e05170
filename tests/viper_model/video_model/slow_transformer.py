"""A code model's transformer as one obvious pass with a full mask, which fast evaluations are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from viper_model.video_model.code_model import CodeModel


def slow_rotate(x: Tensor, frame: Tensor) -> Tensor:
    """Turn the pairs of x as the complex numbers that they stand for: float [batch, time × tokens, heads, head_dim]."""
    real, imaginary = x.chunk(2, -1)
    pairs = real.shape[-1]
    angle = frame[:, None].double() / 10_000 ** (torch.arange(pairs) / pairs)  # [time × tokens, pairs]
    turned = torch.complex(real, imaginary) * torch.polar(torch.ones_like(angle), angle)[:, None].to(torch.complex64)
    return torch.cat([turned.real, turned.imag], -1)


def slow_layers(model: CodeModel, inputs: Tensor, frame: Tensor, visible: Tensor, task: Tensor) -> Tensor:
    """What the last layer answers to input codes int64 [batch, time × tokens]: float32 [batch, time × tokens, width].

    frame: of each token, int64 [time × tokens]. visible: which tokens (second) a token (first) sees, bool.
    """
    time = inputs.shape[1] // len(model.position_embedding)
    x = model.code_embedding(inputs) + model.position_embedding.repeat(time, 1)
    for layer in model.layers:
        qkv = layer.qkv(layer.attention_norm(x, task))
        q, k, v = qkv.unflatten(-1, (3, layer.heads, -1)).unbind(-3)  # [batch, time × tokens, heads, head_dim]
        q, k = slow_rotate(q, frame), slow_rotate(k, frame)
        weights = torch.einsum("bqhd,bkhd->bhqk", q, k) / model.head_dim**0.5
        weights = weights.masked_fill(~visible, -torch.inf).softmax(-1)
        x = layer.finish(x, torch.einsum("bhqk,bkhd->bqhd", weights, v), task)
    return x
