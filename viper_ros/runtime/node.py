"""The lifecycle base of every node."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.timer import Timer

from viper_lab.errors import USER_ERRORS
from viper_lab.parameters import Parameter
from viper_ros.runtime.parameters import declare
from viper_ros.runtime.unheard import unheard_publishers

AUTOSTART = Parameter("autostart", True, "Configure and activate at once, without a lifecycle manager.")
REFUSAL_SECONDS = 10.0
"""How long /diagnostics tells of a refused message."""


class MessageError(Exception):
    """A message that can't be used, said in one line. A node refuses it, counts it on /diagnostics, and goes on."""


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
        self._unheard = ""
        """The publishers that were logged last as not heard."""
        self._real_time = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.every(1.0, self._publish_health)

    def value(self, name: str) -> Any:
        """A parameter's value."""
        return self.get_parameter(name).value

    def finish(self, status: int) -> None:
        """Ask for the node's process to end with this exit status. The first call counts."""
        if not self.done.done():
            self.done.set_result(status)

    def start(self) -> bool:
        """Configure and activate; False where a transition failed."""
        return self.configure_now() and self.activate_now()

    def configure_now(self) -> bool:
        """Configure; False where that failed."""
        return self.trigger_configure() == TransitionCallbackReturn.SUCCESS

    def activate_now(self) -> bool:
        """Activate; False where that failed."""
        return self.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def stop(self) -> bool:
        """Deactivate and clean up, from whatever state the node is in; False where a transition failed."""
        ended = []
        if self._state_machine.current_state[1] == "active":
            ended.append(self.trigger_deactivate())
        if self._state_machine.current_state[1] == "inactive":
            ended.append(self.trigger_cleanup())
        return all(result == TransitionCallbackReturn.SUCCESS for result in ended)

    def listen(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        """Subscribe until the node is deactivated; a message for which `callback` raises MessageError is refused, which
        /diagnostics tells of, with the topic's name. So it does of publishers that can't be heard.

        What it raises of USER_ERRORS ends the node in one line.
        """
        name = self.resolve_topic_name(topic)

        def take(message: Any) -> None:
            try:
                callback(message)
            except MessageError as error:
                raise MessageError(f"{name}: {error}") from error

        heard = self.create_subscription(
            kind,
            topic,
            lambda message: self._guard(take, message),
            qos,
            # rclpy's own warn of every subscription that doesn't hear a publisher, though another one does.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
        self._listeners.append(heard)

    def unheard(self, *topics: str) -> str:
        """Which publisher on one of `topics`, or on any that the node listens to, it can't hear, and why; or empty."""
        names = {self.resolve_topic_name(topic) for topic in topics}
        listening = [each for each in self._listeners if not names or each.topic_name in names]
        return "; ".join(unheard_publishers(self, listening).values())

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
        """A service's callback that answers with an empty response where `callback` raises."""

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                self._refuse(f"request refused: {error}")
                return type(response)()

        return answer

    def configure(self) -> None:
        """Load what takes time, and create publishers."""

    def activate(self) -> None:
        """Subscribe, and begin to work."""

    def deactivate(self) -> None:
        """Stop the motion first, then the rest of the work."""

    def cleanup(self) -> None:
        """Release what `configure` took."""

    def claims(self) -> Mapping[str, type]:
        """The topics that this node alone may publish, and their types; known from `configure` on."""
        raise NotImplementedError

    def health(self) -> Health:
        """How the node is, in any state."""
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
        except Exception:  # rclpy says nothing of it
            self.get_logger().fatal(traceback.format_exc())
            self.finish(1)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _publish_health(self) -> None:
        health = self.health()
        if self._refusal and monotonic() - self._refusal[1] < REFUSAL_SECONDS and health.level < DiagnosticStatus.ERROR:
            health = dataclasses.replace(health, message=self._refusal[0], level=DiagnosticStatus.ERROR)
        unheard = self.unheard()
        if unheard and unheard != self._unheard:
            self.get_logger().warning(unheard)
        self._unheard = unheard
        if unheard and unheard not in health.message:
            level = max(health.level, DiagnosticStatus.WARN)
            health = dataclasses.replace(health, message=f"{health.message}; {unheard}", level=level)
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
