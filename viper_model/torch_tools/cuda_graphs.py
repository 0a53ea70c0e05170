"""A computation as one CUDA graph: on a GPU, launching many small kernels one by one takes longer than running them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

WARM_UP = 3
"""Calls that run as they are, while libraries choose their algorithms, before one is captured."""

Computation = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

_capturing = threading.Lock()
"""Beginning to capture waits for the whole GPU, which must not wait for another capture."""


class Graphed:
    """Runs `computation` on tensors of a GPU, from the fourth time on as one CUDA graph.

    `computation` must do the same to tensors of the same shapes whatever is in them, without waiting for the GPU, and
    draw from no generator but `generator`. Its results are overwritten by the next call. Tensors of other shapes are
    warmed up for and captured anew.
    """

    def __init__(
        self, computation: Computation, stream: torch.cuda.Stream, generator: torch.Generator | None = None
    ) -> None:
        """stream: on which it is captured and replayed; no other thread may use it."""
        self._computation, self._stream, self._generator = computation, stream, generator
        self._shapes: dict[str, torch.Size] = {}
        self._warmed_up = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        shapes = {name: tensor.shape for name, tensor in inputs.items()}
        if shapes != self._shapes:
            self._shapes, self._warmed_up, self._graph = shapes, 0, None
        # Autograd remembers on which stream a gradient was made: all calls are made on the one that is captured.
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            if self._warmed_up < WARM_UP:
                self._warmed_up += 1
                self._outputs = self._computation(inputs)
            else:
                graph = self._graph or self._capture(inputs)
                for name, tensor in inputs.items():
                    self._inputs[name].copy_(tensor)
                graph.replay()
        torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
        return self._outputs

    def _capture(self, inputs: Mapping[str, Tensor]) -> torch.cuda.CUDAGraph:
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        if self._generator:
            graph.register_generator_state(self._generator)
        # Other threads go on using the GPU meanwhile.
        with _capturing, torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._outputs = self._computation(self._inputs)
        self._graph = graph
        return graph
