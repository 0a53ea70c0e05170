"""Times the public JAX code's reward; `benchmarks.speed.reward_jax` runs it, in that code's own environment.

Reads commands from standard input and answers each with a line `<wall seconds> <CPU seconds>` of one new frame:
* `frame`: its reward model is called for the last of 16 frames, as a robot that waits for each reward would;
* `loop`: its replay buffer is given the frames that it takes until it next computes rewards, as by its training loop.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
import types
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

CONTEXT, BATCH_LENGTH = 16, 64
# From its viper_rl/configs/vqgan/dmc.yaml and videogpt/dmc.yaml.
VQGAN = {
    "ch": 128,
    "ch_mult": [1, 2, 2, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "z_channels": 64,
    "double_z": False,
    "dropout": 0.0,
    "n_embed": 256,
    "embed_dim": 64,
    "patch_size": [8, 8],
}
TRANSFORMER = {
    "embed_dim": 256,
    "num_heads": 8,
    "num_layers": 8,
    "mlp_dim": 1024,
    "dropout": 0.1,
    "attention_dropout": 0.1,
}


def random_checkpoints(folder: Path) -> tuple[Path, Path]:
    """Random weights in the layout that its loaders read: folders of the VQ-GAN and of the transformer."""
    import jax
    import jax.numpy as jnp
    from flax.training import checkpoints
    from viper_rl.videogpt import models

    vqgan, videogpt, key = folder / "vqgan", folder / "videogpt", jax.random.PRNGKey(0)
    keys = {"params": key, "dropout": key}

    def write(where: Path, config: dict[str, Any], state: dict[str, Any]) -> None:
        where.mkdir()
        (where / "args").write_bytes(pickle.dumps(types.SimpleNamespace(**config)))
        checkpoints.save_checkpoint(str(where / "checkpoints"), state, 0)

    variables = models.VQGAN(**VQGAN).init(keys, image=jnp.zeros((1, 64, 64, 3)))
    write(vqgan, {"ae": VQGAN}, {"vqgan_params": variables["params"]})
    config = {
        "seq_len": CONTEXT,
        "frame_skip": 1,
        "image_size": 64,
        "n_classes": 16,
        "class_cond": True,
        "model": "videogpt",
        "transformer": TRANSFORMER,
        "ae_ckpt": str(vqgan),
    }
    model = models.VideoGPT(types.SimpleNamespace(**config), models.AE(str(vqgan), mode="jit"))
    embeddings, label = jnp.zeros((1, CONTEXT, 8, 8, VQGAN["embed_dim"])), jnp.zeros(1, jnp.int32)
    params = model.init(keys, embeddings, label=label)["params"]
    write(videogpt, config, {"params": params, "ema_params": params})
    (videogpt / "class_map.pkl").write_bytes(pickle.dumps({"walker_walk": 0}))
    return vqgan, videogpt


class PublicReward:
    def __init__(self, code: Path) -> None:
        sys.path[:0] = [str(code), str(code / "viper_rl" / "dreamerv3")]
        # Not of the reward; its dataclasses aren't of Python 3.11 and later.
        discriminator = types.ModuleType("stylegan_disc")
        discriminator.StyleGANDisc = None  # type: ignore[attr-defined]
        sys.modules["viper_rl.videogpt.models.stylegan_disc"] = discriminator
        from embodied.replay import UniformRelabel
        from viper_rl.videogpt.reward_models.videogpt_reward_model import VideoGPTRewardModel

        with tempfile.TemporaryDirectory() as folder:
            vqgan, videogpt = random_checkpoints(Path(folder))
            self._model = VideoGPTRewardModel("dmc_walker_walk", str(vqgan), str(videogpt), minibatch_size=32)
        self._replay = UniformRelabel(BATCH_LENGTH, self._model, "chunk", capacity=1000)
        self._images = np.random.default_rng(0).integers(0, 256, (BATCH_LENGTH, 64, 64, 3), np.uint8)
        self._steps = 0
        self._add(BATCH_LENGTH)

    def _add(self, steps: int) -> None:
        for _ in range(steps):
            flags = {"is_first": self._steps == 0, "is_last": False, "is_terminal": False}
            self._replay.add({"image": self._images[self._steps % BATCH_LENGTH], **flags})
            self._steps += 1

    def loop(self) -> int:
        """Add the frames up to and with the next one that makes it compute rewards; returns how many."""
        frames = BATCH_LENGTH - CONTEXT + 1
        self._add(frames)
        assert self._model.PRIVATE_LIKELIHOOD_KEY in self._replay.streams[0][-1]
        return frames

    def frame(self) -> int:
        done = {self._model.PRIVATE_LIKELIHOOD_KEY: 0.0}
        steps = [{"image": image, "is_first": False, **done} for image in self._images[:CONTEXT]]
        del steps[-1][self._model.PRIVATE_LIKELIHOOD_KEY]
        float(self._model(steps)[-1][self._model.PRIVATE_LIKELIHOOD_KEY])
        return 1


def main() -> None:
    with redirect_stdout(sys.stderr):
        reward = PublicReward(Path(sys.argv[1]))
    print("ready", flush=True)
    for command in sys.stdin:
        with redirect_stdout(sys.stderr):
            if command.strip() == "frame":
                reward.frame()  # The first after a loop takes four times as long.
            wall, cpu = time.perf_counter(), time.process_time()
            frames = {"frame": reward.frame, "loop": reward.loop}[command.strip()]()
            taken = (time.perf_counter() - wall) / frames, (time.process_time() - cpu) / frames
        print(*taken, flush=True)


if __name__ == "__main__":
    main()
