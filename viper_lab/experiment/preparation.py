"""Videos and the video model, made where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial, wraps
from pathlib import Path

from rich.console import Console

from sim.options import parse_options
from sim.record import first_episode, record
from viper_lab.errors import UserError
from viper_lab.experiment.plan import Plan
from viper_lab.results.check_reward import check_model
from viper_model.errors import ModelError
from viper_model.files import locked
from viper_model.torch_tools.device import torch_device
from viper_model.video_model.fit.training import fit, refuse_other_settings
from viper_model.videos.find import EXPERT

JUDGES = ("random", "noisy", "parked", "stopped")
"""Behaviours that are recorded to judge the reward; nothing learns from them."""
WHOLE_EPISODES = ("random", "parked", "stopped")
"""Recorded to the episode's end: what such a behaviour earns in an episode is what a policy could earn."""


def record_videos(plan: Plan, behaviour: str, episodes: int | None = None) -> list[float]:
    """Record a behaviour in the plan's environment; returns the ground-truth return of each video. Videos already there
    count. episodes: as in the plan's settings where None."""
    _refuse_old_layout(plan)
    options = plan.settings["record"]
    environment = plan.settings["sim_node"]
    size = environment["image_size"]
    usual = {"expert": options["episodes"], "background": options["background_episodes"]}
    return record(
        plan.sim,
        plan.task,
        behaviour,
        episodes or usual.get(behaviour, options["other_episodes"]),
        plan.data,
        image_size=(size, size),
        action_repeat=environment["action_repeat"],
        disturbance_steps=options["disturbance_steps"],
        episode_steps=0 if behaviour in WHOLE_EPISODES else options["episode_steps"],
        hold_steps=None if options["hold_steps"] < 0 else options["hold_steps"],
        **parse_options(environment["camera"], environment["arm"], environment["options"]),
    )


def _one_at_a_time(make: Callable[[Plan, Console], None]) -> Callable[[Plan, Console], None]:
    """Of several processes that make the same videos and model one does, and the others wait for it."""

    @wraps(make)
    def make_alone(plan: Plan, console: Console) -> None:
        if not plan.needs_preparation:
            return
        lock = plan.model.with_name(f".{plan.model.name}.lock")
        with ExitStack() as stack:
            # Where it can't be written nothing can be made, which is told where that is tried.
            with suppress(OSError, ModelError):
                lock.parent.mkdir(parents=True, exist_ok=True)
                taken = partial(console.print, f"another process prepares {plan.task}: waiting for it")
                stack.enter_context(locked(lock, taken))
            make(plan, console)

    return make_alone


@_one_at_a_time
def prepare(plan: Plan, console: Console) -> None:
    """Record and fit what is missing for the plan: of a reward without a video model, experts' videos."""
    if not plan.reward.has_video_model:
        record_videos(plan, EXPERT)
        return
    if (plan.model / "config.yaml").exists() and (plan.model / "check.json").exists():
        options = {name: value for name, value in plan.settings["fit"].items() if name != "device"}
        try:
            refuse_other_settings(plan.model, **options)
        except ModelError as error:
            raise UserError(f"{error}; reward_model:={plan.model} takes it as it is") from error
        _refuse_other_videos(plan)
        return
    background = ("background",) if plan.settings["record"]["background_episodes"] else ()
    device = torch_device(plan.settings["fit"]["device"])  # refused before anything is recorded
    for behaviour in (EXPERT, *background, *JUDGES):
        record_videos(plan, behaviour)
    fit_model(plan, plan.data, plan.model, (plan.task,))
    check_model(
        plan.data,
        plan.model,
        console,
        form=plan.settings["reward_node"]["likelihood"],
        tasks=(plan.task,),
        device=device,
    )


def fit_model(plan: Plan, data: Path, folder: Path, tasks: Sequence[str]) -> None:
    """Fit a model of `tasks` (see `fit`) with the plan's settings, where it is missing. Raises ModelError."""
    options = plan.settings["fit"]
    fit(
        data,
        folder,
        options["size"],
        tokenizer=options["tokenizer"],
        code_model=options["code_model"],
        background=options["background"],
        tasks=tasks,
        seed=options["seed"],
        tokenizer_steps=options["tokenizer_steps"],
        code_model_steps=options["code_model_steps"],
        background_steps=options["background_steps"],
        device=torch_device(options["device"]),
    )


def _refuse_other_videos(plan: Plan) -> None:
    """Raises UserError where the videos that a finished model learned from show the task otherwise than the plan's
    environment will."""
    folder, environment = plan.data / plan.task / EXPERT, plan.settings["sim_node"]
    episode = first_episode(folder)
    if episode is None:
        return
    shown = {"image_size": episode.image_size, "action_repeat": episode.action_repeat, **episode.options}
    wanted = {
        "image_size": (environment["image_size"],) * 2,
        "action_repeat": environment["action_repeat"],
        **parse_options(environment["camera"], environment["arm"], environment["options"]),
    }
    for name, value in wanted.items():
        if type(shown.get(name)) is type(value) and shown[name] != value:
            raise UserError(
                f"{plan.model} learned from {folder}, which has videos with {name} {shown[name]}, not {value}: choose "
                f"another directory:=, or reward_model:={plan.model} to take it as it is"
            )


def _refuse_old_layout(plan: Plan) -> None:
    """Refuse to record anew what an older version, which named tasks after their arm, kept elsewhere.

    Raises UserError, which says what to move.
    """
    folder = plan.data / plan.task
    old = folder.parent.parent / plan.older_label
    if plan.arm and old.exists() and not folder.exists():
        raise UserError(f"{old} is of an older version: `mkdir -p {folder.parent} && mv {old} {folder}`")
