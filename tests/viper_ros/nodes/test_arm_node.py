"""arm_node over real DDS with the simulated arm behind it: it moves as the policy says, and any fault stops it."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from viper_ros.msg import Action, Step

from sim.bare_arm import GRIPPERS
from tests.viper_ros.conftest import Listener, overrides, spin_until
from viper_lab.errors import UserError
from viper_ros.arm import files, homing
from viper_ros.arm.safety import Deadlines, State
from viper_ros.messages import environment_description as description
from viper_ros.messages import images
from viper_ros.nodes.arm_node import ArmNode
from viper_ros.nodes.simulated_arm_node import SimulatedArmNode
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.qos import RELIABLE
from viper_ros.runtime.stamps import nanoseconds, to_stamp
from viper_ros.runtime.unheard import NEW_NODE

pytest.importorskip("robosuite", reason="ships the arms' models")
pytestmark = pytest.mark.usefixtures("ros")

COMMANDS = "arm_controller/joint_trajectory"
UP = (0.0, 0.2, 0.4, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a busy test machine meets."""
    load = files.load
    deadlines = Deadlines(action=3.0, frame=3.0, joint_states=1.0, dead_man=3.0)
    monkeypatch.setattr(
        files, "load", lambda name: dataclasses.replace(load(name), deadlines=deadlines, tracking_tolerance=0.5)
    )


class Operator(Listener):
    """Answers steps as a policy, and calls services as a person does."""

    def __init__(self) -> None:
        topics = {
            "step": Step,
            "image_raw": Image,
            COMMANDS: JointTrajectory,
            f"{COMMANDS}/would_send": JointTrajectory,
        }
        super().__init__({**topics, "gripper_controller/joint_trajectory": JointTrajectory}, RELIABLE)
        self._actions = self.create_publisher(Action, "action", RELIABLE)
        self.stop_button = self.create_publisher(Bool, "e_stop", RELIABLE)
        self.answering = True
        self.answer = UP
        self.listen(
            Step, "step", lambda step: self.send(self.answer, step) if self.answering and not step.is_last else None, 10
        )

    def send(self, values: object, step: Step, shift: int = 0) -> None:
        action = Action(values=list(values))
        action.header.stamp = to_stamp(nanoseconds(step.header.stamp) + shift)
        self._actions.publish(action)


class Cell:
    """An arm, its node and its operator."""

    def __init__(self, *, silent: bool = False, **values: object) -> None:
        """silent: the arm sends no joint states."""
        self.arm_node = ArmNode(parameter_overrides=overrides(**{"dry_run": False, **values}))
        of_both = {name: values[name] for name in ("arm", "joint_prefix") if name in values}
        simulated = {"joint_states": not silent, "camera_rate": 5.0}  # drawing takes most of a busy test machine's time
        self.simulated = SimulatedArmNode(parameter_overrides=overrides(**simulated, **of_both))
        self.operator = Operator()
        self.nodes: list[ViperNode] = [self.operator, self.arm_node, self.simulated]
        assert self.simulated.start()
        assert self.arm_node.start()
        self.until(lambda: self.arm_node._episode._described_size is not None or self.guard.doubtful_frames() != "")
        self.until(lambda: silent or self.guard._measured is not None)

    @property
    def guard(self) -> object:
        return self.arm_node.guard

    def until(self, condition: Callable[[], bool]) -> None:
        spin_until(self.nodes, condition)

    def call(self, service: str) -> Trigger.Response:
        client = self.operator.create_client(Trigger, service)
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def refuses(self, service: str, why: str) -> None:
        """For this reason, unless joint states come late or names aren't known yet: then it is asked again."""
        refusal = self.call(service)
        while any(passing in refusal.message for passing in ("no joint states for", NEW_NODE)):
            refusal = self.call(service)
        assert not refusal.success
        assert why in refusal.message

    def moving(self) -> "Cell":
        spin_for_control_periods(self, 5)  # Nothing is published while a test doesn't spin.
        while not (answer := self.call("start_episode")).success:
            assert "no joint states for" in answer.message  # they come late where other work takes the processor
        self.until(lambda: np.abs(self.simulated.environment.velocities).max() > 0.05)
        return self

    def stopped(self) -> None:
        self.until(lambda: self.guard.state is State.FAULTED and self.guard.motion.at_rest)
        self.until(lambda: np.abs(self.simulated.environment.velocities).max() < 0.005)


@pytest.fixture
def cell() -> Iterator[Cell]:
    made = Cell()
    yield made
    close(made)


def close(cell: Cell) -> None:
    for node in cell.nodes:
        node.stop()


@pytest.mark.parametrize("name", GRIPPERS)
def test_the_arm_moves_as_the_policy_says_and_the_graph_is_sim_nodes(name: str) -> None:
    cell = Cell(arm=name, episode_seconds=1.0)
    heard = cell.operator.heard
    before = cell.simulated.environment.hand
    spin_for_control_periods(cell, 5)
    assert cell.call("start_episode").success
    cell.until(lambda: any(step.is_last for step in heard["step"]))
    moved = cell.simulated.environment.hand - before
    assert moved[2] > 0.02
    assert moved[1] > 0.01
    steps = heard["step"]
    assert [step.index for step in steps] == list(range(len(steps)))
    assert [step.is_first for step in steps] == [True] + [False] * (len(steps) - 1)
    stamps = [nanoseconds(step.header.stamp) for step in steps]
    assert stamps == sorted(set(stamps))
    cell.until(lambda: len(heard["image_raw"]) == len(steps))
    assert [nanoseconds(image.header.stamp) for image in heard["image_raw"]] == stamps
    assert cell.guard.state is State.HOLDING
    assert heard["gripper_controller/joint_trajectory"][0].points[0].positions[0] == cell.arm_node._arm.gripper.closed
    cell.until(lambda: cell.guard.motion.at_rest)
    grips = heard["gripper_controller/joint_trajectory"]
    assert cell.call("reset_episode").success
    cell.until(lambda: cell.guard.state is State.HOLDING)
    cell.until(lambda: grips[-1].points[0].positions[0] == cell.arm_node._arm.gripper.open)
    assert np.abs(cell.simulated.environment.positions - cell.arm_node._arm.home).max() < 0.05
    close(cell)


def test_every_command_ends_in_a_stop(cell: Cell) -> None:
    cell.moving()
    for command in cell.operator.heard[COMMANDS]:
        assert np.abs(command.points[-1].velocities).max() < 1e-9
        times = [point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in command.points]
        assert times == sorted(set(times))


@pytest.mark.parametrize(("age", "moves"), [(0.0, True), (0.6, True), (1.5, False)])
def test_a_trajectory_that_is_over_does_not_move_the_arm(age: float, moves: bool) -> None:
    simulated, operator = SimulatedArmNode(), Operator()
    assert simulated.start()
    away = files.load("panda").home + 0.1
    trajectory = JointTrajectory(joint_names=list(files.load("panda").joints))
    trajectory.points = [JointTrajectoryPoint(positions=away.tolist(), time_from_start=Duration(sec=1))]
    commands = operator.create_publisher(JointTrajectory, COMMANDS, RELIABLE)
    before = simulated.environment.positions
    spin_until([operator, simulated], lambda: commands.get_subscription_count() == 2)  # The operator hears, too.
    begin = simulated.environment.time
    trajectory.header.stamp = to_stamp(operator.get_clock().now().nanoseconds - int(age * 1e9))
    commands.publish(trajectory)
    spin_until([operator, simulated], lambda: simulated.environment.time > begin + 1.5)
    goal = away if moves else before
    np.testing.assert_allclose(
        simulated.environment.positions, goal, atol=0.02
    )  # The servos' error at rest is 0.01 rad.
    assert bool(simulated._refused) is not moves


def spin_for_control_periods(cell: Cell, periods: int) -> None:
    left = [periods]
    timer = cell.arm_node.every(cell.arm_node._arm.control_period, lambda: left.append(left.pop() - 1))
    cell.until(lambda: left[0] <= 0)
    cell.arm_node.destroy_timer(timer)


def test_nothing_is_commanded_before_an_episode_is_started(cell: Cell) -> None:
    spin_for_control_periods(cell, 10)
    assert not cell.operator.heard[COMMANDS]


NO_JOINTS = "no joint states of " + ", ".join(f"panda_joint{i}" for i in range(1, 8))
JOINTS = NO_JOINTS.removeprefix("no ")


def foreign(names: list[str], positions: list[float]) -> Callable[[Cell], None]:
    """Stands for another driver's joint states."""

    def publish(cell: Cell) -> None:
        states = JointState(name=names, position=positions)
        states.header.stamp = cell.operator.get_clock().now().to_msg()
        cell.operator.create_publisher(JointState, "joint_states", RELIABLE).publish(states)
        cell.until(lambda: bool(cell.arm_node._joints._others) or cell.arm_node._joints._without_positions)

    return publish


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        (
            foreign([f"fr3_joint{i}" for i in range(1, 8)], [0.0] * 7),
            "have come, but of fr3_joint1, fr3_joint2, fr3_joint3, fr3_joint4, fr3_joint5, fr3_joint6, fr3_joint7: "
            "joint_prefix, or joints in config/arms/panda.yaml, is to name them",
        ),
        (foreign([f"panda_joint{i}" for i in range(1, 8)], []), "come without positions"),
    ],
    ids=["other names", "no positions"],
)
def test_an_arm_whose_joints_have_not_come_does_not_move_and_what_came_is_named(
    driver: Callable[[Cell], None], told: str
) -> None:
    cell = Cell(silent=True)
    driver(cell)
    for service in ("start_episode", "reset_episode"):
        assert f"/joint_states: {NO_JOINTS if 'fr3' in told else JOINTS} {told}" in cell.call(service).message
    assert told in cell.arm_node.health().message
    close(cell)


def test_an_arm_whose_driver_puts_a_prefix_before_its_joints_names_moves() -> None:
    cell = Cell(joint_prefix="left_")
    before = cell.simulated.environment.hand
    cell.moving()
    cell.until(lambda: (cell.simulated.environment.hand - before)[2] > 0.02)
    commands = cell.operator.heard[COMMANDS]
    assert commands[0].joint_names == [f"left_panda_joint{i}" for i in range(1, 8)]
    close(cell)


@pytest.mark.parametrize("shift", [None, -60.0, 60.0], ids=["no stamp", "behind", "ahead"])
def test_frames_of_a_camera_that_goes_by_no_clock_of_ours_do_not_move_the_arm(
    shift: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_message = images.to_message

    def restamped(image: np.ndarray, stamp: Time, frame_id: str) -> Image:
        return to_message(image, to_stamp(nanoseconds(stamp) + int(shift * 1e9) if shift else 0), frame_id)

    monkeypatch.setattr(images, "to_message", restamped)
    cell = Cell()
    spin_for_control_periods(cell, 5)
    cell.refuses("start_episode", "the frames of /camera/image_raw")
    assert "the frames of /camera/image_raw" in cell.arm_node.health().message
    assert cell.call("reset_episode").success
    close(cell)


def test_a_compressed_camera_is_shown_to_the_policy_as_raw_images() -> None:
    arm_node = ArmNode(cli_args=["--ros-args", "-r", "camera/image_raw:=camera/image_raw/compressed"])
    operator = Operator()
    camera = operator.create_publisher(CompressedImage, "camera/image_raw/compressed", RELIABLE)
    assert arm_node.start()
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    message = CompressedImage(
        format="rgb8; png compressed bgr8", data=cv2.imencode(".png", frame[..., ::-1])[1].tobytes()
    )

    def show() -> None:
        message.header.stamp = operator.get_clock().now().to_msg()
        camera.publish(message)

    operator.every(0.05, show)
    spin_until([operator, arm_node], lambda: arm_node._episode._image is not None)
    arm_node._episode.begin()
    arm_node._episode.show(is_last=False)
    spin_until([operator, arm_node], lambda: bool(operator.heard["image_raw"]))
    assert (images.to_rgb(operator.heard["image_raw"][0]) == frame).all()


def test_a_frame_of_an_unknown_encoding_is_refused_with_the_topics_name(capfd: pytest.CaptureFixture[str]) -> None:
    arm_node, operator = ArmNode(), Operator()
    camera = operator.create_publisher(Image, "camera/image_raw", RELIABLE)
    assert arm_node.start()
    spin_until([operator, arm_node], lambda: camera.get_subscription_count() == 1)
    camera.publish(Image(height=2, width=2, encoding="16UC1", step=4, data=bytes(8)))
    spin_until([operator, arm_node], lambda: arm_node._refused == 1)
    assert "/camera/image_raw: an image of encoding '16UC1' is not read" in capfd.readouterr().err
    assert arm_node._episode._image is None


def test_a_camera_on_the_topic_that_shows_the_policy_its_frames_is_refused() -> None:
    """The node would hear its own frames, and never notice that the camera is gone."""
    node = ArmNode(cli_args=["--ros-args", "-r", "camera/image_raw:=/image_raw"])
    with pytest.raises(UserError, match="/image_raw is where the policy is shown its frames"):
        node.configure()


def test_a_frame_of_a_recording_is_not_shown_to_the_policy(cell: Cell) -> None:
    cell.until(lambda: cell.arm_node._episode._image is not None)
    old = images.to_message(np.zeros((8, 8, 3), np.uint8), to_stamp(10**9), "camera")
    cell.arm_node._on_image(old)
    assert cell.arm_node._episode._image.height == 64


def test_an_arm_that_nobody_would_move_does_not_begin_and_the_topic_is_named() -> None:
    node = ArmNode(parameter_overrides=overrides(dry_run=False))
    node.configure()
    assert "nobody listens to /arm_controller/joint_trajectory" in node._not_ready()
    assert "controller:=" in node._not_ready()
    assert "nobody listens to /gripper_controller/joint_trajectory" in node._output.unheard()[1]


def test_what_a_twist_can_not_do_is_refused() -> None:
    node = ArmNode(parameter_overrides=overrides(output="twist", action="joint_velocity"))
    with pytest.raises(UserError, match="moves the end effector"):
        node.configure()
    node = ArmNode(parameter_overrides=overrides(output="twist"))
    node.configure()
    assert "not with output:=twist" in node._reset_episode()


def test_an_arm_sent_home_straight_after_its_episode_gets_there(cell: Cell) -> None:
    cell.moving()
    robot, motion = cell.arm_node._arm, cell.guard.motion
    cell.until(lambda: homing.distance_from_home(robot, motion.position) > 0.05)
    cell.operator.answer = (0.0,) * 7
    cell.until(lambda: motion.at_rest)
    # Within one control period.
    assert cell.arm_node._end_episode() == ""
    assert cell.arm_node._reset_episode() == ""
    cell.until(lambda: cell.guard.state is State.HOLDING)
    assert homing.is_home(robot, motion.position)
    assert cell.operator.heard["step"][-1].is_last


def test_deactivate_stops_the_arm_first(cell: Cell) -> None:
    cell.moving()
    cell.arm_node.stop()
    cell.nodes.remove(cell.arm_node)
    commands = cell.operator.heard[COMMANDS]
    cell.until(lambda: np.abs(cell.simulated.environment.velocities).max() < 0.005)
    speeds = [np.abs(point.velocities).max() for point in commands[-1].points]
    assert speeds[-1] < 1e-9
    assert all(later <= sooner + 1e-9 for sooner, later in pairwise(speeds))


def test_a_dry_run_sends_nothing() -> None:
    cell = Cell(dry_run=True)
    place = cell.simulated.environment.positions
    assert cell.call("start_episode").success
    shown = cell.operator.heard[f"{COMMANDS}/would_send"]
    cell.until(lambda: any(np.abs(command.points[0].velocities).max() > 0.01 for command in shown))
    assert not cell.operator.heard[COMMANDS]
    np.testing.assert_allclose(cell.simulated.environment.positions, place, atol=1e-3)
    close(cell)


def test_dry_run_is_the_default() -> None:
    node = ArmNode()
    assert node.value("dry_run") is True


@pytest.mark.parametrize(("seconds", "word"), [(0.07, "control periods"), (0.9, "deadline")])
def test_steps_that_the_arm_can_not_keep_are_refused(
    seconds: float, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # The deadlines of the arm's file.
    node = ArmNode(parameter_overrides=overrides(step_seconds=seconds))
    with pytest.raises(UserError, match=word):
        node.configure()


def test_time_steps_are_step_seconds_apart_and_actions_of_a_environment_of_arms_move_it() -> None:
    cell = Cell(action="end_effector_position", step_seconds=0.2)
    cell.operator.answer = (0.0, 0.3, 0.4, 1.0)
    before = cell.simulated.environment.hand
    cell.moving()
    steps = cell.operator.heard["step"]
    cell.until(lambda: len(steps) > 5)
    apart = np.diff([nanoseconds(step.header.stamp) for step in steps]) / 1e9
    assert 0.15 < np.median(apart) < 0.4  # A busy test machine may be late, but never early.
    assert (cell.simulated.environment.hand - before)[1:].min() > 0.02
    close(cell)


def _names(told: list[DiagnosticArray], name: str) -> bool:
    return any(status.name == name for array in told for status in array.status)


def test_an_active_node_still_answers_for_its_parameters_and_tells_its_health(cell: Cell) -> None:
    ears = Listener({"/diagnostics": DiagnosticArray}, RELIABLE)
    cell.nodes.append(ears)
    for node in (cell.arm_node, cell.simulated):
        client = cell.operator.create_client(GetParameters, f"{node.get_name()}/get_parameters")
        cell.until(client.service_is_ready)
        future = client.call_async(GetParameters.Request(names=["arm"]))
        cell.until(future.done)
        assert future.result().values[0].string_value == "panda"
        name, told = node.get_fully_qualified_name(), ears.heard["/diagnostics"]
        cell.until(partial(_names, told, name))


def test_a_late_joiner_hears_what_the_arm_is(cell: Cell) -> None:
    from viper_ros.runtime.qos import LATCHED

    late = Listener({"description": String}, LATCHED)
    spin_until([late, *cell.nodes], lambda: bool(late.heard["description"]))
    told = description.from_json(late.heard["description"][0].data)
    assert told.action_space.size == 7
    assert told.image_size == (64, 64)
