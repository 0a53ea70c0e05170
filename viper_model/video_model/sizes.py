"""How large a video model is, by name: the tokenizer, the code model and what of a video they see."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from viper_model.errors import ModelError
from viper_model.video_model.code_model import CodeModel, CodeModelConfig
from viper_model.video_model.masked import MaskedConfig, MaskedModel
from viper_model.video_model.tokenizers import TokenizerConfig
from viper_model.video_model.tokenizers.patches import PatchesConfig
from viper_model.video_model.tokenizers.vqgan import VQGANConfig
from viper_model.video_model.videogpt import VideoGPT, VideoGPTConfig


@dataclass(frozen=True)
class VideoModelConfig:
    tokenizer: TokenizerConfig
    """Its class says which tokenizer it is."""
    code_model: CodeModelConfig
    """Its class says which model it is."""
    frame_skip: int
    """Only every frame_skip-th frame counts as the past of a frame."""


CODE_MODELS: dict[str, tuple[type[CodeModelConfig], type[CodeModel]]] = {
    "videogpt": (VideoGPTConfig, VideoGPT),
    "masked": (MaskedConfig, MaskedModel),
}
"""Models of a video's codes, by name: their configuration and their class."""


@dataclass(frozen=True)
class Size:
    tokenizers: Mapping[str, TokenizerConfig]
    """The tokenizers that this size has, by name; the first unless told otherwise."""
    code_model: CodeModelConfig
    """Of a VideoGPT; other code models take what they share with it."""
    frame_skip: int


_SMALL = VideoGPTConfig(context=8, layers=3, width=96, heads=3, dropout=0.1)

SIZES = {
    # Trains in minutes on two CPU cores.
    "tiny": Size(
        {
            "patches": PatchesConfig(image_size=32, codes=128, patch=4),
            "vqgan": VQGANConfig(image_size=32, codes=256, channels=(32, 64, 64), blocks=1, code_dim=32),
        },
        _SMALL,
        frame_skip=2,
    ),
    # Environments with small things in them, on two CPU cores.
    "tiny64": Size(
        {
            "patches": PatchesConfig(image_size=48, codes=256, patch=6),
            "vqgan": VQGANConfig(image_size=64, codes=256, channels=(32, 64, 64), blocks=1, code_dim=32),
        },
        _SMALL,
        frame_skip=4,
    ),
    # The paper's for the DeepMind Control Suite (Escontrela et al. 2023, appendix): 8 × 8 codes, 16 frames.
    "dmc": Size(
        {
            "vqgan": VQGANConfig(image_size=64, codes=256, channels=(128, 256, 256), blocks=2, code_dim=64),
            "patches": PatchesConfig(image_size=64, codes=512, patch=4),
        },
        VideoGPTConfig(context=16, layers=8, width=256, heads=8, dropout=0.1),
        frame_skip=1,
    ),
    # The paper's for Atari: 16 × 16 codes of 1024, 4 frames, every fourth.
    "atari": Size(
        {
            "vqgan": VQGANConfig(image_size=64, codes=1024, channels=(128, 256), blocks=2, code_dim=64),
            "patches": PatchesConfig(image_size=64, codes=512, patch=4),
        },
        VideoGPTConfig(context=4, layers=8, width=512, heads=8, dropout=0.0),
        frame_skip=4,
    ),
    # Arms at a camera's rate: 16 × 16 codes, every fourth frame, as otherwise standing still is the likeliest video.
    "arms": Size(
        {
            "vqgan": VQGANConfig(image_size=64, codes=1024, channels=(128, 256), blocks=2, code_dim=64),
            "patches": PatchesConfig(image_size=64, codes=512, patch=4),
        },
        VideoGPTConfig(context=4, layers=8, width=512, heads=8, dropout=0.1),
        frame_skip=4,
    ),
}


def size_config(size: str, tokenizer: str = "", code_model: str = "videogpt") -> VideoModelConfig:
    """The configuration of a named size with a tokenizer (empty: the size's first) and a code model by name.

    Raises ModelError where there is none of that name.
    """
    _check("model size", size, SIZES)
    _check("code model", code_model, CODE_MODELS)
    chosen = SIZES[size]
    tokenizer = tokenizer or next(iter(chosen.tokenizers))
    _check("tokenizer", tokenizer, chosen.tokenizers)
    kind = CODE_MODELS[code_model][0]
    return VideoModelConfig(
        chosen.tokenizers[tokenizer], kind(**dataclasses.asdict(chosen.code_model)), chosen.frame_skip
    )


def _check(what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise ModelError(f"unknown {what} '{name}': choose one of {', '.join(known)}")
