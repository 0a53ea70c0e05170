from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.viper_model.examples import save_model
from viper_model.video_model.folder import model_hash
from viper_model.videos.preparation import Crop
from viper_model.videos.settings import VideoSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path)
    return tmp_path


def in_files(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    return change


def masked(folder: Path, side: int) -> None:
    mask = np.zeros((32, 32), bool)
    mask[:side] = True
    VideoSettings(masks={"walk": mask}).save(folder, ("walk",))


@pytest.mark.parametrize(
    "change",
    [
        *(in_files(name) for name in ("config.yaml", "tasks.yaml", "model.safetensors")),
        lambda folder: VideoSettings(rate=10.0).save(folder, ()),
        lambda folder: VideoSettings(crop=Crop(0, 0, 20, 20)).save(folder, ()),
        lambda folder: masked(folder, 16),
    ],
)
def test_a_model_that_scores_otherwise_is_another(folder: Path, change: Callable[[Path], None]) -> None:
    before = model_hash(folder)
    change(folder)
    assert before
    assert model_hash(folder) not in (None, before)


def test_another_mask_is_another_model_and_no_choice_is_none(folder: Path) -> None:
    (folder / "videos.yaml").unlink(missing_ok=True)
    plain = model_hash(folder)
    VideoSettings().save(folder, ())
    assert model_hash(folder) == plain
    masked(folder, 16)
    one = model_hash(folder)
    masked(folder, 8)
    assert model_hash(folder) != one


def test_no_model_has_no_hash(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert model_hash(folder) is None
