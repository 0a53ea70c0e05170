import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import sim
from sim import Env, SimError
from sim.contract import EnvContract
from sim.record import record
from sim.record.episode import ATTEMPTS
from sim.robosuite import ArmEnv
from tests.sim.test_experts import rewards


def make(task: str, arm: str = "panda", size: int = 16, **options: object) -> ArmEnv:
    environment = sim.make("robosuite", task, image_size=(size, size), arm=arm, **options)  # type: ignore[arg-type]
    assert isinstance(environment, ArmEnv)
    return environment


class TestPanda(EnvContract):
    steps_to_compare = 3
    episode_steps = 10

    def make(self, seed: int) -> Env:
        return make("put_rubbish_in_bin", "panda", 48, seed=seed, action_repeat=10)


class TestATaskThatRemembers(EnvContract):
    """What has been wiped is no state of the physics."""

    steps_to_compare = 3
    episode_steps = 12

    def make(self, seed: int) -> Env:
        return make("wipe_desk", "panda", 48, seed=seed, action_repeat=10)


class TestSawyerAtATaskOfRobosuites(EnvContract):
    steps_to_compare = 3
    episode_steps = 9  # 60 control steps by sevens: the last step is cut short

    def make(self, seed: int) -> Env:
        return make("lift", "sawyer", 48, seed=seed, action_repeat=7)


@pytest.mark.parametrize("task", sim.tasks("robosuite"))
def test_every_task_begins_unsolved_and_as_its_seed_says(task: str) -> None:
    arm = ("panda", "sawyer")[len(task) % 2]
    with make(task, arm, size=48, seed=1) as environment:
        first = environment.reset().image
        still = np.zeros(environment.description.action_space.size, np.float32)
        assert [environment.step(still).task_reward for _ in range(3)] == [0, 0, 0]
        assert environment.description.task == task  # not the arm: it is seen
        assert not np.array_equal(environment.reset().image, first)
        assert np.array_equal(environment.reset(seed=1).image, first)


# One of each kind of motion: the whole table is what benchmarks/experts/arms.py prints.
@pytest.mark.parametrize(
    ("task", "arm"),
    [
        *product(("push_button", "pick_and_lift", "stack"), ("panda", "sawyer")),
        ("open_drawer", "sawyer"),
        ("close_laptop_lid", "panda"),
        ("turn_oven_on", "sawyer"),
        ("put_knife_on_chopping_board", "panda"),
        ("sweep_to_dustpan", "sawyer"),
    ],
)
def test_experts_solve_their_tasks(task: str, arm: str) -> None:
    with make(task, arm, seed=5) as environment:
        earned = rewards(environment, sim.experts.make_behaviour("expert", "robosuite", task, seed=0))
    assert sum(earned) == 1
    assert len(earned) == environment._task.steps + 1  # the episode goes on to its time limit


@pytest.mark.parametrize("arm", ["panda", "sawyer"])
def test_an_action_moves_the_gripper_by_three_centimetres_and_turns_it(arm: str) -> None:
    with make("lift", arm) as environment:
        environment.reset()
        for axis, sign in ((0, 1), (1, -1), (2, 1)):
            before = environment.gripper_position
            action = np.zeros(5, np.float32)
            action[axis] = sign
            for _ in range(2):
                environment.step(action)
            for _ in range(5):
                environment.step(np.zeros(5, np.float32))
            expected = np.zeros(3)
            expected[axis] = sign * 0.06
            # Tracking is good to a millimetre where nothing is in the way.
            assert environment.gripper_position - before == pytest.approx(expected, abs=2e-3)
        fingers = environment._suite_env.sim.data.site_xmat[
            environment._suite_env.robots[0].eef_site_id["right"]
        ].reshape(3, 3)
        facing = np.array(fingers[:, 0])
        for _ in range(2):
            environment.step(np.array([0, 0, 0, 1, 0], np.float32))
        for _ in range(5):
            environment.step(np.zeros(5, np.float32))
        turned = np.degrees(np.arccos(np.clip(facing @ np.array(fingers[:, 0]), -1, 1)))
        assert turned == pytest.approx(np.degrees(0.4), abs=1)
        assert fingers[2, 2] < -0.999  # still pointing down


@pytest.mark.parametrize(("task", "farthest"), [("push_button", 0.5), ("close_laptop_lid", 0.3)])
def test_the_hand_stays_in_the_task_s_room(task: str, farthest: float) -> None:
    with make(task) as environment:
        environment.reset()
        for _ in range(25):
            environment.step(np.array([0, 1, 0, 0], np.float32))
        assert environment.goal_position[1] == pytest.approx(farthest)
        assert environment.gripper_position[1] == pytest.approx(farthest, abs=5e-3)


def test_a_camera_looks_at_its_point_from_where_it_is_said_to_be() -> None:
    import mujoco  # after sim.robosuite, which settles with which OpenGL

    from sim.arms.look import View

    view = View(look_at=(-0.1, 0.2, 0.9), distance=0.8, elevation=30, azimuth=60)
    model = ET.fromstring("<mujoco><worldbody/></mujoco>")
    view.add_to(model)
    compiled = mujoco.MjModel.from_xml_string(ET.tostring(model, encoding="unicode"))
    (camera,) = compiled.cam_pos
    away = camera - view.look_at
    assert np.linalg.norm(away) == pytest.approx(0.8)
    assert np.degrees(np.arcsin(away[2] / 0.8)) == pytest.approx(30)
    assert np.degrees(np.arctan2(away[1], away[0])) == pytest.approx(60)
    axes = compiled.cam_mat0.reshape(3, 3)  # its right, its up, and away from what it sees
    assert axes[:, 2] == pytest.approx(away / 0.8)
    assert axes[2, 0] == pytest.approx(0, abs=1e-9)  # level
    assert axes[2, 1] > 0  # and upright


def test_the_goal_does_not_run_away_from_an_arm_that_is_held_up() -> None:
    with make("lift", "sawyer") as environment:
        environment.reset()
        for _ in range(30):
            environment.step(np.array([0, 0, -1, 0, 0], np.float32))
        assert np.linalg.norm(environment.goal_position - environment.gripper_position) < 0.07
        for _ in range(3):
            environment.step(np.array([0, 0, 1, 0, 0], np.float32))
        assert environment.gripper_position[2] > 0.83


def test_arms_look_different_and_their_table_the_same() -> None:
    frames = []
    for arm in ("panda", "sawyer"):
        with make("pick_and_lift", arm, 64, seed=3) as environment:
            frames.append(environment.reset().image)
    differs = (frames[0] != frames[1]).any(axis=-1)
    assert 0.02 < differs.mean() < 0.5
    assert not differs[-8:].any()  # the table's near edge


def test_a_video_ends_so_many_steps_after_success(tmp_path: Path) -> None:
    small = {"image_size": (16, 16), "action_repeat": 1, "workers": 1}
    assert record("robosuite", "push_button", "expert", 1, tmp_path, hold_steps=4, **small) == [1]
    video = np.load(tmp_path / "push_button" / "expert" / "00000.npz")
    solved = int(video["task_reward"].argmax())
    assert {len(video[name]) for name in ("image", "action", "task_reward")} == {solved + 5}
    assert not video["action"][-1].any()
    assert video["action"][solved - 1, :3].any()
    assert not video["action"][solved:, :3].any(), "an expert that has solved its task stays where it is"
    with pytest.raises(SimError, match="hold_steps 4, not None"):
        record("robosuite", "push_button", "expert", 2, tmp_path, **small)


def test_a_video_that_is_cut_before_success_is_recorded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"image_size": (16, 16), "action_repeat": 1, "workers": 1}
    assert record("robosuite", "push_button", "expert", 1, tmp_path / "cut", episode_steps=1, **small) == [0]
    assert capsys.readouterr().out.count("the expert reached") == ATTEMPTS
    limits = {"episode_steps": 39, "disturbance_steps": 4}
    assert record("robosuite", "reach_target", "expert", 3, tmp_path / "long", **limits, **small) == [1, 1, 1]


def test_a_cup_that_is_moved_but_not_held_is_not_picked_up() -> None:
    with make("pick_up_cup", seed=2) as environment:
        environment.reset()
        before = environment.point("cup")
        environment._suite_env.put("cup", 0.0, 0.3)
        assert environment.step(np.zeros(4, np.float32)).task_reward == 0
        assert np.linalg.norm(environment.point("cup") - before) > 0.1


def solved(environment: ArmEnv) -> bool:
    return bool(environment._suite_env._check_success())


@pytest.mark.parametrize(
    ("task", "joint", "direction", "moves"), [("close_box", "lid", -1, 2.6), ("turn_tap", "handle", 1, 1.57)]
)
def test_what_has_a_joint_is_judged_by_how_far_that_has_moved_in_the_episode(
    task: str, joint: str, direction: int, moves: float
) -> None:
    with make(task, seed=2) as environment:
        environment.reset()
        began = environment.joint(joint)
        for share, expected in ((0.97, False), (1.03, True)):
            environment._suite_env.sim.data.set_joint_qpos(joint, began + direction * share * moves)
            assert solved(environment) == expected


def test_buttons_count_in_their_order() -> None:
    def press(environment: ArmEnv, *buttons: str) -> bool:
        for button in buttons:
            environment._suite_env.sim.data.set_joint_qpos(button, -0.01)
            done = solved(environment)
            environment._suite_env.sim.data.set_joint_qpos(button, 0.0)
        return done

    with make("push_buttons", seed=2) as environment:
        environment.reset()
        assert not press(environment, "red", "blue", "green")
        assert press(environment, "blue")
        environment.reset()
        assert not press(environment, "blue")


def test_the_lamp_shines_from_when_its_button_is_pressed_until_the_next_episode() -> None:
    with make("lamp_on", seed=2, size=64) as environment:
        dark = environment.reset().image
        environment._suite_env.sim.data.set_joint_qpos("button", -0.01)
        assert solved(environment)
        yellow = environment._frame()[..., 0].astype(int) - environment._frame()[..., 2]
        assert (yellow > 100).sum() > (dark[..., 0].astype(int) - dark[..., 2] > 100).sum() + 5
        assert np.array_equal(environment.reset(seed=2).image, dark)


def test_a_point_ahead_is_where_the_joint_takes_it() -> None:
    with make("close_laptop_lid", seed=2) as environment:
        environment.reset()
        ahead = environment.point_ahead("screen", (0.1, 0.05, 0.0), 0.02)
        environment._suite_env.sim.data.set_joint_qpos("screen", environment.joint("screen") + 0.02 / 0.1)
        environment._suite_env.sim.forward()
        assert environment.point("screen", (0.1, 0.05, 0.0)) == pytest.approx(ahead, abs=1e-9)


def test_the_usual_look_shows_the_same_scene_otherwise() -> None:
    with make("lift", seed=3, size=64) as fast, make("lift", seed=3, size=64, fast_render=False) as usual:
        one, other = fast.reset().image.astype(int), usual.reset().image.astype(int)
        assert fast.gripper_position == pytest.approx(usual.gripper_position, abs=1e-9)
    assert not np.array_equal(one, other)
    assert abs(one - other).mean() < 40


def test_importing_tells_users_nothing(tmp_path: Path) -> None:
    code = "import sim; sim.make('robosuite', 'lift', image_size=(16, 16)).reset()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("pick_and_lft", {}, "pick_and_lift"),
        ("lift", {"arm": "sawer"}, "sawyer"),
        ("lift", {"arm": "ur5"}, "panda or sawyer"),
        ("lift", {"camera": "nowhere"}, "front"),
    ],
)
def test_mistakes_are_told(task: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(SimError, match=words) as error:
        sim.make("robosuite", task, **options)
    assert "\n" not in str(error.value)
