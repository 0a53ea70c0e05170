"""Tokenizers by name. A new one is a module here and a line below."""

from viper_model.video_model.tokenizers.base import Tokenizer, TokenizerConfig
from viper_model.video_model.tokenizers.patches import Patches, PatchesConfig
from viper_model.video_model.tokenizers.vqgan import VQGAN, VQGANConfig

__all__ = ["TOKENIZERS", "Tokenizer", "TokenizerConfig"]

TOKENIZERS: dict[str, tuple[type[TokenizerConfig], type[Tokenizer]]] = {
    "patches": (PatchesConfig, Patches),
    "vqgan": (VQGANConfig, VQGAN),
}
"""Their configuration and their class."""
