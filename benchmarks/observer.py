"""The node of a benchmark's own process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.task import Future

from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import make_executor
from viper_ros.runtime.qos import RELIABLE


@dataclass(frozen=True)
class Diagnosis:
    """What a node said last of itself on /diagnostics."""

    message: str
    values: dict[str, str]


class Observer(ViperNode):
    """Keeps what all nodes say on /diagnostics, and runs its own callbacks while the benchmark waits."""

    def __init__(self, name: str) -> None:
        super().__init__(name, [])
        self.diagnoses: dict[str, Diagnosis] = {}
        """By the full name of a node: /env_0/sim_node, for instance."""
        self.listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self._own_executor = make_executor()
        self._own_executor.add_node(self)

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        return Health("measuring")

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            self.diagnoses[status.name] = Diagnosis(status.message, values)

    def spin(self, seconds: float) -> None:
        """Run callbacks for so long, or until `finish` is called."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.done.done():
            self._own_executor.spin_until_future_complete(self.done, left)

    def spin_until(
        self, condition: Callable[[], bool], seconds: float, act: Callable[[], None] = lambda: None, every: float = 0.1
    ) -> bool:
        """Run callbacks until `condition` holds; `act` is called at first and then each `every` seconds.

        Returns False where the condition still doesn't hold after `seconds`.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            act()
            self.spin(every)
        return True

    def wait_for(self, future: Future[Any], seconds: float) -> None:
        """Run callbacks until `future` is done, for so many seconds at most."""
        self._own_executor.spin_until_future_complete(future, seconds)

    def close(self) -> None:
        self._own_executor.remove_node(self)
        self._own_executor.shutdown()
        self.destroy_node()
