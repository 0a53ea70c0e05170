"""Shows what a graph does in Rerun (rerun.io): frames, likelihood maps, rewards, actions and joints, on one time
line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState

from viper_lab.errors import UserError
from viper_lab.experiment.sections import VIZ_NODE
from viper_ros.messages import images
from viper_ros.msg import Action, Reward, Step
from viper_ros.runtime.node import Health, ViperNode
from viper_ros.runtime.process import run_process
from viper_ros.runtime.stamps import nanoseconds

TIME_LINE = "stamp"
PARAMETERS = VIZ_NODE


class VizNode(ViperNode):
    """Subscribes to each environment's image_raw, likelihood_map, step, reward and action, and to joint_states.

    It listens without asking for what it missed, so that it never holds up the others.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("viz_node", PARAMETERS, **options)
        self._shown = 0

    def configure(self) -> None:
        self._rerun = _rerun()
        self._recording = self._rerun.new_recording("viper_ros")
        file = str(self.value("file"))
        layout = self._layout(self.value("environments"))
        if not file:
            self._rerun.spawn(recording=self._recording, memory_limit="25%", default_blueprint=layout)
            return
        path = Path(file).expanduser()
        try:
            # Rerun itself would report a folder that can't be written to in its own log only.
            path.open("wb").close()
        except OSError as error:
            raise UserError(f"can't write to {path}: {error.strerror}") from error
        self._rerun.save(path, recording=self._recording, default_blueprint=layout)

    def activate(self) -> None:
        kinds: tuple[tuple[type, str, Any], ...] = (
            (Image, "image_raw", self._on_image),
            (Image, "likelihood_map", self._on_image),
            (Step, "step", self._on_step),
            (Reward, "reward", self._on_reward),
            (Action, "action", self._on_action),
        )
        for environment in self.value("environments"):
            for kind, topic, callback in kinds:
                path = _path(environment, topic)
                if topic == "image_raw":
                    kind = images.kind_of(self.resolve_topic_name(path))
                self.listen(kind, path, partial(callback, path), qos_profile_sensor_data)
        self.listen(JointState, "joint_states", self._on_joint_states, qos_profile_sensor_data)

    def cleanup(self) -> None:
        self._rerun.disconnect(recording=self._recording)
        del self._recording

    def claims(self) -> dict[str, type]:
        return {}

    def health(self) -> Health:
        if not self._shown:
            return Health("nothing to show yet", DiagnosticStatus.WARN)
        return Health("showing", values={"messages": self._shown})

    def _layout(self, environments: Sequence[str]) -> Any:
        """A row for each environment: what it sees, what surprises, and a plot for each unit; the joints below."""
        views = self._rerun.blueprint
        rows = [
            views.Horizontal(
                views.Spatial2DView(origin=_path(environment, "image_raw"), name=environment or "frames"),
                views.Spatial2DView(origin=_path(environment, "likelihood_map"), name="likelihood map"),
                views.TimeSeriesView(origin=_path(environment, "reward"), name="reward"),
                views.TimeSeriesView(origin=_path(environment, "reward_log_likelihood"), name="log-likelihood, nats"),
                views.TimeSeriesView(origin=_path(environment, "action"), name="action"),
                views.TimeSeriesView(origin=_path(environment, "step/normalised_score"), name="normalised score"),
            )
            for environment in environments
        ]
        joints = views.TimeSeriesView(origin="joint_states", name="joint positions, rad")
        return views.Blueprint(views.Vertical(*rows, joints, row_shares=[3] * len(rows) + [1]), collapse_panels=True)

    def _on_image(self, path: str, message: Image | CompressedImage) -> None:
        self._show(message, {path: self._rerun.Image(images.to_rgb(message))})

    def _on_step(self, path: str, step: Step) -> None:
        if not step.answered:
            names = ("episode", "task_reward", "normalised_score")
            self._scalars(step, {f"{path}/{name}": getattr(step, name) for name in names})

    def _on_reward(self, path: str, reward: Reward) -> None:
        # The two have different units: a plot each.
        self._scalars(reward, {path: reward.reward, f"{path}_log_likelihood": reward.log_likelihood})

    def _on_action(self, path: str, action: Action) -> None:
        self._scalars(action, {f"{path}/{index}": value for index, value in enumerate(action.values)})

    def _on_joint_states(self, states: JointState) -> None:
        self._scalars(states, {f"joint_states/{n}": p for n, p in zip(states.name, states.position, strict=False)})

    def _scalars(self, message: Any, values: dict[str, float]) -> None:
        self._show(message, {path: self._rerun.Scalar(float(value)) for path, value in values.items()})

    def _show(self, message: Any, entities: dict[str, Any]) -> None:
        self._rerun.set_time_nanos(TIME_LINE, nanoseconds(message.header.stamp), recording=self._recording)
        for path, entity in entities.items():
            self._rerun.log(path, entity, recording=self._recording)
        self._shown += 1


def _path(environment: str, topic: str) -> str:
    return "/".join(filter(None, (environment, topic)))


def _rerun() -> ModuleType:
    try:
        import rerun
    except ImportError as error:
        raise UserError("viz:=rerun needs Rerun: pip install -r requirements/rerun.txt") from error
    return rerun


def main() -> int:
    return run_process(VizNode)
