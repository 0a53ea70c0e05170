"""The lifecycle base of every node, and how a node runs as a process of its own."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType
from typing import Any

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.timer import Timer

from sim import SimError
from viper_model.errors import ModelError
from viper_ros.config import config_directory
from viper_ros.parameters import Parameter, UnknownParameterError, declare

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a process to stop."""
FAST_DDS_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for its settings: now, and before Fast DDS 3."""
AUTOSTART = Parameter("autostart", True, "Configure and activate at once, without a lifecycle manager.")
LISTEN_SECONDS = 1.5
"""How long to listen for another graph before joining in: a world that waits repeats its last frame every second."""
LISTEN_LONGER_SECONDS = 5.0
"""And how much longer where there is another publisher: on a busy machine it may take its time."""
REFUSAL_SECONDS = 10.0
"""So long a refused message is told of on /diagnostics."""


class NodeError(Exception):
    """A user's mistake that a node met, told in one line that says what to do."""


class MessageError(Exception):
    """A message that can't be used, told in one line: it is refused, and the node goes on."""


USER_ERRORS = (
    SimError,
    ModelError,
    NodeError,
    UnknownParameterError,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)


@dataclass(frozen=True)
class Health:
    """What a node says of itself on /diagnostics, once a second."""

    message: str
    level: bytes = DiagnosticStatus.OK
    values: Mapping[str, object] = field(default_factory=dict)


class ViperNode(LifecycleNode):
    """A lifecycle node that loads in configure, moves in activate, and stops moving first in deactivate.

    A subclass fills in `configure`, `activate`, `deactivate`, `cleanup` and `health`. What they raise of USER_ERRORS
    is logged in one line and fails the transition; `done` then holds the exit status.
    """

    def __init__(self, name: str, parameters: Sequence[Parameter], **options: Any) -> None:
        super().__init__(name, **options)
        for service in self.services:  # rclpy's own: one request of a type that it doesn't know would end the node.
            service.callback = self._answering(service.callback)
        declare(self, [*parameters, AUTOSTART])
        self.done: Future[int] = Future()
        """Completes with the exit status when the node has nothing left to do."""
        self._refused = 0
        self._refusal: tuple[str, float] | None = None
        """Why a message was last refused, and when."""
        self._listeners: list[Subscription] = []
        self._real_time = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.every(1.0, self._publish_health)

    def value(self, name: str) -> Any:
        """A parameter's value."""
        return self.get_parameter(name).value

    def finish(self, status: int) -> None:
        """Ask for the node's process to end with this exit status. The first word counts."""
        if not self.done.done():
            self.done.set_result(status)

    def start(self) -> bool:
        """Configure and activate; False where a transition failed."""
        return self.ready() and self.go()

    def ready(self) -> bool:
        """Configure; False where that failed."""
        return self.trigger_configure() == TransitionCallbackReturn.SUCCESS

    def go(self) -> bool:
        """Activate; False where that failed."""
        return self.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def stop(self) -> bool:
        """Stop moving, then give back what the node holds. Right in any state; False where a transition failed."""
        ended = []
        if self._state_machine.current_state[1] == "active":
            ended.append(self.trigger_deactivate())
        if self._state_machine.current_state[1] == "inactive":
            ended.append(self.trigger_cleanup())
        return all(result == TransitionCallbackReturn.SUCCESS for result in ended)

    def listen(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        """Subscribe until the node is deactivated; a message for which `callback` raises MessageError is refused, which
        /diagnostics tells of.

        What it raises of USER_ERRORS ends the node in one line.
        """
        heard = self.create_subscription(kind, topic, lambda message: self._guard(callback, message), qos)
        self._listeners.append(heard)

    def every(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """A timer, in real time whatever `use_sim_time` says: /clock may stand still. Errors as for `listen`."""
        return self.create_timer(seconds, lambda: self._guard(callback), clock=self._real_time)

    def soon(self, callback: Callable[[], None]) -> None:
        """Have the executor call `callback` after what has already arrived; errors as for `listen`.

        From the executor's own thread only: rclpy's EventsExecutor deadlocks where another calls it.
        """
        if self.executor:
            self.executor.create_task(lambda: self._guard(callback))

    def _guard(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except MessageError as error:
            self._refuse(f"message refused: {error}")
        except USER_ERRORS as error:
            self.get_logger().fatal(str(error))
            self.finish(1)
        except Exception:
            # Not the user's mistake but ours. EventsExecutor hangs where an exception reaches it from a task.
            self.get_logger().fatal(traceback.format_exc())
            self.finish(1)

    def _refuse(self, why: str) -> None:
        self._refused += 1
        self._refusal = (why, monotonic())
        self.get_logger().error(why, throttle_duration_sec=5.0)

    def _answering(self, callback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A service's callback that answers with nothing where it would raise."""

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                self._refuse(f"request refused: {error}")
                return type(response)()

        return answer

    def configure(self) -> None:
        """Load what takes time."""

    def activate(self) -> None:
        """Begin to move."""

    def deactivate(self) -> None:
        """Stop moving."""

    def cleanup(self) -> None:
        """Give back what `configure` took."""

    def claims(self) -> Mapping[str, type]:
        """The topics that nobody else may publish, and their types; known from `configure` on."""
        raise NotImplementedError

    def health(self) -> Health:
        raise NotImplementedError

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._stop_moving)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self._stop_moving()
        if state.label in ("active", "inactive"):
            self.cleanup()
        return TransitionCallbackReturn.SUCCESS

    def _stop_moving(self) -> None:
        try:
            self.deactivate()
        finally:
            for subscription in self._listeners:
                self.destroy_subscription(subscription)
            self._listeners.clear()

    def _transition(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except USER_ERRORS as error:
            self.get_logger().fatal(str(error))
            self.finish(1)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _publish_health(self) -> None:
        health = self.health()
        if self._refusal and monotonic() - self._refusal[1] < REFUSAL_SECONDS and health.level < DiagnosticStatus.ERROR:
            health = dataclasses.replace(health, message=self._refusal[0], level=DiagnosticStatus.ERROR)
        all_values = {**health.values, **({"messages_refused": self._refused} if self._refused else {})}
        values = [KeyValue(key=key, value=str(value)) for key, value in all_values.items()]
        status = DiagnosticStatus(
            level=health.level,
            name=self.get_fully_qualified_name(),
            message=health.message,
            hardware_id="",
            values=values,
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


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
    if all(node.ready() for node in nodes):
        taken = _taken(nodes)
        if not taken and all(node.go() for node in nodes):
            return True
        if taken:
            nodes[0].get_logger().fatal(
                f"another graph publishes {taken}: stop that one first, or choose another namespace "
                "(namespace:=<name>) or ROS_DOMAIN_ID for this one"
            )
    for node in nodes:
        node.stop()
    return False


def _taken(nodes: Sequence[ViperNode]) -> str | None:
    """The first of the nodes' topics on which somebody else is heard.

    Heard, not discovered: the publishers of a process that was killed are there for another twenty seconds.
    """
    heard: Future[str] = Future()

    def hear(topic: str) -> None:
        if not heard.done():
            heard.set_result(topic)

    executor = SingleThreadedExecutor()
    ears = []
    claimed: Counter[str] = Counter()
    for node in nodes:
        for topic, kind in node.claims().items():
            name = node.resolve_topic_name(topic)
            claimed[name] += 1
            ears.append((node, node.create_subscription(kind, topic, lambda _, name=name: hear(name), 1)))
        executor.add_node(node)
    executor.spin_until_future_complete(heard, LISTEN_SECONDS)
    if any(nodes[0].count_publishers(name) > ours for name, ours in claimed.items()):
        executor.spin_until_future_complete(heard, LISTEN_LONGER_SECONDS)
    for node, ear in ears:
        node.destroy_subscription(ear)
    for node in nodes:
        executor.remove_node(node)
    executor.shutdown()
    return heard.result() if heard.done() else None


def spin(nodes: Sequence[ViperNode], done: Future[int]) -> int:
    """Run `nodes` in this thread until `done`, SIGINT, SIGTERM or the death of the parent process; stop them in order.

    Returns the exit status: `done`'s result, 128 + the signal's number, or 1 where a node could not stop as it should
    (it could not save, say).
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        # Once is enough: under `ros2 launch`, Ctrl-C comes from the terminal and from the launcher.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if not done.done():
            done.set_result(128 + number)

    def follow_parent() -> None:
        # SIGTERM to `ros2 launch` alone leaves its nodes behind.
        if os.getppid() != parent and not done.done():
            nodes[0].get_logger().error("the process that started this node is gone: stopping")
            done.set_result(1)

    parent = int(os.environ.get("VIPER_ROS_PARENT", os.getppid()))
    nodes[0].every(1.0, follow_parent)
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
    """Leave cores to the other nodes: torch takes all of them, and two that do slow each other down tenfold."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))


def join_graph(arguments: Sequence[str]) -> None:
    """`rclpy.init` for processes that send camera frames; what SIGNALS do stays with `spin`.

    Fast DDS is given config/fastdds.xml, unless the user has set a profile of their own.
    """
    if not any(name in os.environ for name in FAST_DDS_PROFILES):
        os.environ[FAST_DDS_PROFILES[0]] = str(config_directory() / "fastdds.xml")
    rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)


def run_process(node_class: Callable[[], ViperNode]) -> int:
    """The main function of a process that runs one node. Returns its exit status."""
    share_cores()
    join_graph(sys.argv)
    try:
        node = node_class()
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
        rclpy.try_shutdown()
