"""The settings of an experiment, by section of its parameter file: each is stated here and nowhere else.

sim_node, reward_node and policy_node declare theirs as ROS parameters, `make_plan` checks all of them, and options of
`viper` and arguments of the launch files are made of them.
"""

from __future__ import annotations

from dataclasses import replace

from viper_lab.experiment.reward_source import REWARD_SOURCES
from viper_lab.experiment.sim_sections import RECORD, SEEDS, SIM_NODE, VIZ_NODE
from viper_lab.parameters import Parameter, parameter
from viper_model.agents.registry import AGENTS, IMAGE_SIZES
from viper_model.agents.registry import SIZES as AGENT_SIZES
from viper_model.reward.likelihood import FORMS
from viper_model.torch_tools.device import DEVICES
from viper_model.torch_tools.precision import PRECISION_CHOICES
from viper_model.video_model.fit.background import BACKGROUNDS
from viper_model.video_model.sizes import CODE_MODELS
from viper_model.video_model.sizes import SIZES as VIDEO_MODEL_SIZES
from viper_model.video_model.tokenizers import TOKENIZERS

MANY = 1_000_000_000
ENVIRONMENT_SEEDS = 100
"""So far apart are the seeds of the environments of two runs, which have one for each of theirs."""

FIT = (
    Parameter("size", "tiny", "Named size of the video model.", choices=tuple(VIDEO_MODEL_SIZES)),
    Parameter("tokenizer", "", "How frames become codes; empty: the size's own.", choices=("", *TOKENIZERS)),
    Parameter(
        "code_model",
        "videogpt",
        "Which model of the videos' codes (docs/rewards.md).",
        choices=tuple(CODE_MODELS),
    ),
    Parameter(
        "background",
        "auto",
        "What the background of a likelihood ratio is learned from: recorded (videos of the behaviour background), "
        "recorded_and_stills (and experts' frames held still, for robots that can stand still anywhere), "
        "recorded_and_approaches (and experts before they come to rest, for tasks that end at rest), made (experts' "
        "videos frozen, reversed, shuffled), auto (recorded_and_stills where possible, else made), none.",
        choices=BACKGROUNDS,
    ),
    Parameter("tokenizer_steps", 0, "Training steps of a VQ-GAN; 0: as the size has it.", 0, MANY),
    Parameter("code_model_steps", 0, "Training steps of the experts' code model; 0: as the size has it.", 0, MANY),
    Parameter("background_steps", 0, "Training steps of the background's code model; 0: as the size has it.", 0, MANY),
    Parameter("seed", 0, "Seed of the training.", 0, SEEDS),
    Parameter("device", "auto", "Where the model is trained.", choices=DEVICES),
)

REWARD_NODE = (
    Parameter("model", "", "Folder of the video model, as `viper fit` leaves it."),
    Parameter("environments", ["env_0"], "Namespaces of the environments whose frames are scored."),
    Parameter(
        "likelihood",
        "auto",
        "conditional: ln p(x_t | x_<t, task), the paper's reward; joint: its mean over the context; ratio: less "
        "ln p(x_t | x_<t, background); auto: of conditional and ratio the one by which hacks earned least when the "
        "model was fitted, conditional where it has no background.",
        choices=("auto", *FORMS),
    ),
    Parameter(
        "steps",
        True,
        "Score the frames of episodes, which `step` tells of. False: a camera alone, one endless video, newest first, "
        "at the rate of the videos that the model is of.",
    ),
    Parameter("task", "", "What a camera alone shows; empty: the only task that the model knows."),
    Parameter("reward_task", "", "Score episodes as this task of the model's, whichever is run; empty: as their own."),
    Parameter("publish_map", True, "Publish likelihood_map where somebody listens.", read_only=False),
    Parameter("device", "auto", "Where the model runs.", choices=DEVICES),
    Parameter(
        "precision",
        "float32",
        "Of the model's transformer. bfloat16 moves a frame's likelihood by some 0.05 nats, and is faster where the "
        "transformer is wide and the hardware multiplies bfloat16; auto: bfloat16 there, else float32.",
        choices=PRECISION_CHOICES,
    ),
)

POLICY_NODE = (
    Parameter("run", "", "Directory of the run. Where one is there already, it goes on."),
    Parameter("environments", ["env_0"], "Namespaces of the environments to act in."),
    Parameter(
        "reward",
        "viper",
        "; ".join(f"{source.name}: {source.description}" for source in REWARD_SOURCES.values()) + ".",
        choices=tuple(REWARD_SOURCES),
    ),
    Parameter(
        "videos",
        "",
        "Data folder of the expert videos that amp and amp_multi_task compare with; empty: that of the training, "
        "data/<sim>/[<arm>], recorded where they are missing.",
    ),
    Parameter("agent", "drqv2", "What learns: DreamerV3 or DrQ-v2.", choices=tuple(AGENTS)),
    Parameter(
        "size", "tiny", "Named size of the agent. dreamer: tiny, XS, S, M; drqv2: tiny, paper.", choices=AGENT_SIZES
    ),
    Parameter("image_size", 64, "Height and width in pixels at which the agent sees.", choices=IMAGE_SIZES),
    Parameter(
        "exploration_weight",
        0.0,
        "β: weight of the exploration bonus beside the reward, Dreamer's disagreement or DrQ-v2's novelty, which falls "
        "along with its noise.",
        0.0,
        100.0,
    ),
    Parameter("steps", 20_000, "Environment steps to collect.", 1, MANY),
    Parameter("prefill", 1_000, "Random steps before learning begins.", 0, MANY),
    Parameter("batch_size", 0, "Sequences in a batch; 0: the size's own.", 0, 4096),
    Parameter("batch_length", 0, "Steps in a sequence; 0: the size's own.", 0, 4096),
    Parameter("replay_ratio", 32.0, "Steps learned from for each step collected.", 0.01, 100_000.0),
    Parameter("replay_capacity", 1_000_000, "Steps that replay keeps on disk.", 1_000, MANY),
    Parameter("evaluate_every", 4_000, "Environment steps between rounds of evaluation.", 1, MANY),
    Parameter("evaluation_episodes", 3, "Episodes in a round of evaluation.", 1, 10_000),
    Parameter("end_evaluation_episodes", 10, "Episodes in the first round, before training, and the last.", 1, 10_000),
    Parameter("seed", 0, "Seed of everything random in the agent.", 0, SEEDS),
    Parameter("experiment", "", "The settings of the other nodes, as JSON: kept in the run's config.yaml."),
    Parameter("save_every", 60.0, "Seconds between checkpoints.", 1.0, 86_400.0),
    Parameter("device", "auto", "Where the agent learns and acts.", choices=DEVICES),
)

SECTIONS = {
    "record": RECORD,
    "fit": FIT,
    "sim_node": SIM_NODE,
    "reward_node": REWARD_NODE,
    "policy_node": POLICY_NODE,
}
"""By name in the parameter file. `record` and `fit` are no node's: they say how missing videos and models are made."""

RUN = (
    Parameter("name", "", "The run's name; empty: after the task."),
    Parameter(
        "reward_model",
        "",
        "Folder of the video model that is the reward; nothing is then recorded or fitted. Empty: models/<sim>/<task>, "
        "of one arm models/<sim>/<arm>/<task>, made where it is missing.",
    ),
    Parameter(
        "seed",
        0,
        f"Another run of the same experiment: seed of the agent, and {ENVIRONMENT_SEEDS} times it of the environments. "
        "0: as in the parameter file. Any other is in the run's usual name.",
        0,
        SEEDS // ENVIRONMENT_SEEDS,
    ),
    Parameter("environments", 1, "Environments side by side.", 1, 1_000),
    Parameter("namespace", "", "ROS namespace of the nodes, to run several graphs side by side."),
    Parameter("directory", ".", "Where data/, models/ and runs/ are."),
    Parameter(
        "viz",
        "none",
        "rerun: show frames, maps, rewards, actions and joints in a Rerun viewer.",
        choices=("none", "rerun"),
    ),
    replace(parameter(VIZ_NODE, "file"), name="viz_file"),
)
"""What a parameter file doesn't hold: it changes from run to run."""
