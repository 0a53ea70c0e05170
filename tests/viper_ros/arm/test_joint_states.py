import numpy as np

from viper_ros.arm.joint_states import JointStates

ARM = ("shoulder", "elbow", "wrist")


def test_positions_are_found_by_name_among_others_and_in_any_order() -> None:
    positions, came_at = JointStates(ARM, "joints").take(
        ["finger", "wrist", "elbow", "shoulder"], [np.nan, 0.3, 0.2, 0.1], 5.0
    )
    np.testing.assert_array_equal(positions, [0.1, 0.2, 0.3])
    assert came_at == 5.0


def test_positions_that_come_in_parts_are_as_old_as_the_oldest_part() -> None:
    joints = JointStates(ARM, "joints")
    assert joints.take(["shoulder", "elbow"], [0.1, 0.2], 5.0) is None
    assert joints.missing() == "no joint states of wrist have come"
    positions, came_at = joints.take(["wrist"], [0.3], 5.1)
    np.testing.assert_array_equal(positions, [0.1, 0.2, 0.3])
    assert came_at == 5.0
    positions, came_at = joints.take(["shoulder", "elbow"], [1.1, 1.2], 6.0)
    np.testing.assert_array_equal(positions, [1.1, 1.2, 0.3])
    assert came_at == 5.1  # The wrist has fallen silent.
    assert joints.missing() == ""


def test_what_is_not_about_the_arm_is_passed_over() -> None:
    joints = JointStates(ARM, "joints")
    joints.take(ARM, [0.1, 0.2, 0.3], 5.0)
    assert joints.take(["finger"], [0.9], 6.0) is None
    assert joints.take([], [], 6.0) is None
    assert joints.missing() == ""


def test_what_came_instead_is_named() -> None:
    joints = JointStates(ARM, "joints")
    assert joints.missing() == "no joint states of shoulder, elbow, wrist have come"
    joints.take([f"wheel_{index}" for index in range(9)], [0.0] * 9, 5.0)
    named = ", ".join(f"wheel_{index}" for index in range(8))
    assert (
        joints.missing()
        == f"no joint states of shoulder, elbow, wrist have come, but of {named}, …: joints is to name them"
    )
    joints.take(ARM, [], 5.0)
    told = "joint states of shoulder, elbow, wrist come without positions, one for each: have their driver publish them"
    assert joints.missing() == told


def test_states_without_names_are_told() -> None:
    joints = JointStates(ARM, "joints")
    assert joints.take([], [0.1, 0.2, 0.3], 5.0) is None
    assert joints.missing() == "joint states without names come: have their driver name shoulder, elbow, wrist"
    joints.take(ARM, [0.1, 0.2, 0.3], 5.1)
    assert joints.missing() == ""
