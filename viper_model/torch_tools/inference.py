"""Makes a video model that is only evaluated faster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from viper_model.errors import ModelError
from viper_model.video_model.video_model import VideoModel

PRECISIONS = ("float32", "bfloat16")


def prepare_for_inference(model: VideoModel, precision: str = "float32") -> None:
    """Make `model` faster where it is. It can't be trained or saved any more.

    precision: of the transformer. `bfloat16` moves a frame's likelihood by some 0.05 nats (docs/speed.md). The encoder
    stays in float32: rounding it gives another code wherever two are about as near, and some frames tens of nats with
    them.
    Raises ModelError where there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"unknown precision '{precision}': choose one of {', '.join(PRECISIONS)}")
    model.code_model.to(getattr(torch, precision))
    if model.device.type == "cpu" and torch.backends.mkldnn.is_available():
        _pack(model.vqgan.encoder)
        _pack(model.code_model)


# What PyTorch's own layers do too, but their weights are laid out for the processor once, not on every call: that is an
# eighth of the time that encoding a single frame takes, a fifth to a third of a linear layer's. They call oneDNN as the
# code that torch.compile generates does, without its compiler and its half minute.


class PackedConv2d(nn.Module):
    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.bias = conv.bias
        self.geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.detach(), *self.geometry, None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.geometry, "none", [], "")


class PackedLinear(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = linear.bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def _pack(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, PackedConv2d(child))
        elif isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child))
        else:
            _pack(child)
