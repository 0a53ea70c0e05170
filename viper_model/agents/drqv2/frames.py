"""What the agent sees: the newest FRAMES frames of an episode, stacked, shifted a little at random in training.

A picture's colours lie beside each other in memory. They stay there: a stack is [frames, height, width * 3], so that
making one copies whole rows. A convolution of k pixels by k over it is one of k by 3 k.
"""

from __future__ import annotations

import torch
from torch import Tensor

FRAMES = 3


def largest_shift(image_size: int) -> int:
    """Pixels: 4 for 84 pixels a side, as in the paper, and in proportion."""
    return round(image_size / 21)


def random_shifts(n: int, image_size: int, generator: torch.Generator) -> Tensor:
    """Down and right by so many pixels, int64 [n, 2]."""
    largest = largest_shift(image_size)
    return torch.randint(-largest, largest + 1, (n, 2), generator=generator, device=generator.device)


def padded(images: Tensor) -> Tensor:
    """Repeat the first and the last column of images as often as the largest shift can go beyond them.

    uint8 [sequences, steps, side, side, 3] → [sequences, steps, side, side + 2 * largest, 3].
    """
    side = images.shape[3]
    margin = largest_shift(side)
    wide = images.new_empty(*images.shape[:3], side + 2 * margin, 3)
    wide[..., margin : side + margin, :] = images
    wide[..., :margin, :] = images[..., :1, :]
    wide[..., side + margin :, :] = images[..., -1:, :]
    return wide


def stack_indices(starts: Tensor, newest: Tensor) -> Tensor:
    """Where in their sequences the frames of stacks are; before its episode began, an episode's first frame counts.

    starts: from `batches.episode_starts`. newest: index of each stack's last frame, int64 [sequences, stacks]. Returns
    int64 [sequences, stacks, FRAMES].
    """
    back = torch.arange(FRAMES - 1, -1, -1, device=newest.device)
    return torch.maximum(newest[..., None] - back, starts.gather(1, newest)[..., None])


def shifted_stacks(wide: Tensor, starts: Tensor, newest: Tensor, shifts: Tensor) -> Tensor:
    """The stack that ends with one step of each sequence; frames before its episode are its first frame.

    wide: from `padded`. starts: from `batches.episode_starts`. newest: index of the step, int64 [sequences]. shifts:
    from `random_shifts`; a pixel beyond the edge is the edge's. Returns uint8 [sequences, FRAMES, side, side * 3].
    """
    sequences, steps, side, width, _ = wide.shape
    device = wide.device
    frame = stack_indices(starts, newest[:, None])[:, 0]  # [sequences, FRAMES]
    frame = frame + steps * torch.arange(sequences, device=device)[:, None]  # among the frames of all sequences
    rows = (torch.arange(side, device=device) - shifts[:, :1]).clamp(0, side - 1)  # [sequences, side]
    column = (width - side) // 2 - shifts[:, 1]  # [sequences]
    first_pixel = (frame[:, :, None] * side + rows[:, None]) * width + column[
        :, None, None
    ]  # [sequences, FRAMES, side]
    # Every pixel begins a window as wide as an image: copying windows moves whole rows, not single pixels.
    windows = wide.as_strided((wide.numel() // 3 - side + 1, 3 * side), (3, 1))
    return windows.index_select(0, first_pixel.flatten()).view(sequences, FRAMES, side, 3 * side)


def stack_of(frames: Tensor) -> Tensor:
    """Frames as they are, unshifted: uint8 [n, FRAMES, side, side, 3] → [n, FRAMES, side, side * 3]."""
    return frames.flatten(3)


def push(frames: Tensor, frame: Tensor, begins: Tensor) -> Tensor:
    """The last frames of n environments when each has shown another.

    frames: uint8 [n, FRAMES, side, side, 3]. frame: uint8 [n, side, side, 3]. begins: bool [n], nothing before counts:
    all frames are this one. Returns the shape of `frames`.
    """
    newest = frame[:, None]
    moved = torch.cat([frames[:, 1:], newest], 1)
    return torch.where(begins.view(-1, 1, 1, 1, 1), newest, moved)
