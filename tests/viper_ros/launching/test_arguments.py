"""What launch arguments stand for, without `launch`."""

import pytest

from viper_lab.errors import UserError
from viper_ros.launching.arguments import LAUNCH_FILES, Argument


def argument(launch_file: str, name: str) -> Argument:
    return next(each for each in LAUNCH_FILES[launch_file] if each.name == name)


@pytest.mark.parametrize(
    ("launch_file", "name", "text", "value"),
    [
        ("train", "steps", "", None),
        ("train", "steps", "500", 500),
        ("train", "task", "", None),
        ("train", "reward_model", "", ""),
        ("train", "environments", "2", 2),
        ("train", "use_sim_time", "true", True),
        ("deploy", "dry_run", "false", False),
        ("deploy", "step_seconds", "0.2", 0.2),
        ("record", "topics", "image_raw /tf", ["image_raw", "/tf"]),
    ],
)
def test_text_is_read_as_the_setting_that_it_stands_for(launch_file: str, name: str, text: str, value: object) -> None:
    assert argument(launch_file, name).value(text) == value


@pytest.mark.parametrize(
    ("launch_file", "name", "text", "words"),
    [
        ("train", "steps", "0", "from 1 to"),
        ("train", "steps", "many", "steps:=many: it must be of type int"),
        ("train", "reward", "likelihood", "viper, task"),
        ("deploy", "step_seconds", "60", "from 0.01 to 1"),
        ("deploy", "dry_run", "perhaps", "of type bool"),
    ],
)
def test_a_wrong_value_is_refused_by_name(launch_file: str, name: str, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        argument(launch_file, name).value(text)


@pytest.mark.parametrize("launch_file", LAUNCH_FILES)
def test_every_default_is_one_of_its_argument_s_values(launch_file: str) -> None:
    for each in LAUNCH_FILES[launch_file]:
        if each.default is not None:
            assert each.value(each.default) in (None, each.setting.default)
        assert len(each.description) > 10
