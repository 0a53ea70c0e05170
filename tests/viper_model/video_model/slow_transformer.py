"""A code model's transformer as one obvious pass with a full mask, which fast evaluations are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from viper_model.video_model.code_model import CodeModel, rotate, rotation


def slow_layers(model: CodeModel, inputs: Tensor, frame: Tensor, visible: Tensor, task: Tensor) -> Tensor:
    """What the last layer answers to input codes int64 [batch, time × tokens]: float32 [batch, time × tokens, width].

    frame: of each token, int64 [time × tokens]. visible: which tokens (second) a token (first) sees, bool.
    """
    time = inputs.shape[1] // len(model.position_embedding)
    x = model.code_embedding(inputs) + model.position_embedding.repeat(time, 1)
    turn = rotation(frame, model.head_dim)[:, :, None]
    for layer in model.layers:
        q, k, v = layer.queries_keys_values(x, task)  # [batch, time × tokens, heads, head_dim]
        weights = torch.einsum("bqhd,bkhd->bhqk", rotate(q, turn), rotate(k, turn)) / model.head_dim**0.5
        weights = weights.masked_fill(~visible, -torch.inf).softmax(-1)
        x = layer.finish(x, torch.einsum("bhqk,bkhd->bqhd", weights, v), task)
    return x
