"""How nodes run as a process: joining the graph, signals, one executor, and an orderly end."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import try_shutdown

from viper_lab.config import config_directory
from viper_lab.errors import USER_ERRORS
from viper_ros.runtime.node import ViperNode
from viper_ros.runtime.other_graph import topic_in_use

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a process to stop."""
FAST_DDS_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for its settings: now, and before Fast DDS 3."""
SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh", "csh", "tcsh")


def make_executor() -> Executor:
    """The executor with the least cost a message that this ROS distribution has."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def start_alone(nodes: Sequence[ViperNode]) -> bool:
    """Start `nodes`, unless another graph is at work on their topics: two on the same ones ruin each other's runs.

    Returns False where a transition failed or a topic is taken, which is logged; all nodes are then stopped. They are
    in no executor yet.
    """
    if all(node.configure_now() for node in nodes):
        taken = topic_in_use(nodes)
        if not taken and all(node.activate_now() for node in nodes):
            return True
        if taken:
            nodes[0].get_logger().fatal(
                f"another graph publishes {taken}: stop that one first, or choose another namespace "
                "(namespace:=<name>) or ROS_DOMAIN_ID for this one"
            )
    for node in nodes:
        node.stop()
    return False


def spin(nodes: Sequence[ViperNode], done: Future[int]) -> int:
    """Run `nodes` in this thread until `done`, SIGINT or SIGTERM; stop them in order.

    Returns the exit status: `done`'s result, 128 + the signal's number, or 1 where a node could not stop as it should
    (it could not save, say).
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        # Once is enough: under `ros2 launch`, Ctrl-C comes from the terminal and from the launcher.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if not done.done():
            done.set_result(128 + number)

    for number in SIGNALS:
        signal.signal(number, interrupted)
    executor = make_executor()
    for node in nodes:
        executor.add_node(node)
    try:
        while not done.done():
            # EventsExecutor never returns without a timeout; between two calls Python handles signals.
            executor.spin_until_future_complete(done, 1.0)
    finally:
        stopped = [node.stop() for node in nodes]
        executor.shutdown()
        if not (done.done() and (done.result() or 0) > 128):  # else the launcher may yet send its own
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
    return (done.result() or 0) if all(stopped) else 1


def share_cores() -> None:
    """Leave cores to the other nodes: torch takes all of them, and two that do slow each other down tenfold.

    In a process whose nodes have loaded torch; the others do without it. OMP_NUM_THREADS may leave them still more.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(max(1, min(torch.get_num_threads(), len(os.sched_getaffinity(0)) // 2)))


def join_graph(arguments: Sequence[str]) -> None:
    """`rclpy.init` for processes that send camera frames; what SIGNALS do stays with `spin`.

    Fast DDS is given config/fastdds.xml, unless the user has set a profile of their own.
    """
    if not any(name in os.environ for name in FAST_DDS_PROFILES):
        os.environ[FAST_DDS_PROFILES[0]] = str(config_directory() / "fastdds.xml")
    rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)


def _follow_parent(node: ViperNode) -> None:
    """End the node with the process that started it: SIGTERM to `ros2 launch` alone leaves its nodes behind.

    Not with a shell, which ends before what it has started in the background.
    """
    parent = int(os.environ.get("VIPER_ROS_PARENT", os.getppid()))
    if _name_of(parent) in SHELLS:
        return

    def look() -> None:
        if os.getppid() != parent and not node.done.done():
            node.get_logger().error("the process that started this node is gone: stopping")
            node.finish(1)

    node.every(1.0, look)


def _name_of(process: int) -> str:
    """What a process is called; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return ""


def run_process(node_class: Callable[[], ViperNode]) -> int:
    """The main function of a process that runs one node. Returns its exit status."""
    share_cores()
    join_graph(sys.argv)
    try:
        node = node_class()
        _follow_parent(node)
        if node.value("autostart") and not start_alone([node]):
            return 1
        # What is loaded now stays: looking through it for garbage would hold the node up by tens of milliseconds.
        gc.collect()
        gc.freeze()
        status = spin([node], node.done)
        gc.unfreeze()
        return 0 if status > 128 else status  # To stop when told to is to end well.
    except USER_ERRORS as error:
        print(f"viper_ros: {error}", file=sys.stderr)
        return 1
    finally:
        try_shutdown()
