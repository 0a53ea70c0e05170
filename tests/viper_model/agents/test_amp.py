"""The discriminator's loss and reward against slow versions, and what it is shown."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.viper_model.agents.examples import make_agent, make_batch, make_step
from viper_model.agents import amp, registry
from viper_model.agents.amp import WINDOW, AdversarialMotionPrior, discriminator_loss, reward_of
from viper_model.agents.learner import Learner
from viper_model.agents.replay import Replay
from viper_model.errors import ModelError

SIDE = 16


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Parabola(nn.Module):
    """D(x) = sum over i of a_i x_i² + b_i x_i, whose gradient 2 a_i x_i + b_i is known."""

    def __init__(self, rng):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.from_numpy(rng.normal(size=2 * 3 * 3) / 10)) for _ in range(2))

    def forward(self, windows):
        x = windows.flatten(1)
        return (self.a * x**2 + self.b * x).sum(1)


def slow_loss(a, b, expert, agent):
    """Window by window, pixel by pixel."""

    def judged(x):
        return sum(ai * xi**2 + bi * xi for ai, bi, xi in zip(a, b, x, strict=True))

    total = penalty = 0.0
    for x in expert:
        total += 0.5 * (judged(x) - 1) ** 2 / len(expert)
        penalty += 2.5 / 5 * sum((2 * ai * xi + bi) ** 2 for ai, bi, xi in zip(a, b, x, strict=True)) / len(expert)
    for x in agent:
        total += 0.5 * (judged(x) + 1) ** 2 / len(agent)
    return total + penalty, penalty


def test_the_loss_is_that_of_a_slow_version(rng):
    parabola = Parabola(rng)
    expert, agent = rng.random((4, 2, 3, 3)), rng.random((3, 2, 3, 3))
    found = discriminator_loss(parabola, torch.from_numpy(expert), torch.from_numpy(agent))
    a, b = parabola.a.tolist(), parabola.b.tolist()
    loss, penalty = slow_loss(a, b, expert.reshape(4, -1), agent.reshape(3, -1))
    assert found["discriminator_loss"].item() == pytest.approx(loss)
    assert found["discriminator_penalty"].item() == pytest.approx(penalty)


def test_the_penalty_is_on_experts_alone_and_moves_the_weights(rng):
    parabola = Parabola(rng)
    expert, agent, other = (torch.from_numpy(rng.random((3, 2, 3, 3))) for _ in range(3))
    found = discriminator_loss(parabola, expert, agent)["discriminator_penalty"]
    assert found.item() == discriminator_loss(parabola, expert, other)["discriminator_penalty"].item()
    assert found.item() != discriminator_loss(parabola, other, agent)["discriminator_penalty"].item()
    found.backward()
    slope = 2 * parabola.a.detach() * expert.flatten(1) + parabola.b.detach()  # [n, pixels]
    torch.testing.assert_close(parabola.b.grad, 2.5 / 5 * 2 * slope.mean(0))


def test_the_reward_is_1_for_an_expert_and_has_its_limits():
    judged = torch.tensor([1.0, -1.0, 0.0, 3.0, -2.0, 9.0])
    assert reward_of(judged).tolist() == [1, 0, 0.75, 0, -1.25, -2]


def slow_window(images, is_first, t):
    """Walk back frame by frame, not past an episode's first."""
    window = [images[t]]
    while len(window) < WINDOW:
        if not is_first[t]:
            t -= 1
        window.insert(0, images[t])
    return np.stack(window)


def batch_of(rng, sequences=3, steps=6, **changed):
    return make_batch(int(rng.integers(1000)), sequences, WINDOW - 1 + steps, SIDE) | changed


def videos_of(rng, *lengths):
    return [rng.integers(0, 256, (length, SIDE, SIDE, 3), np.uint8) for length in lengths]


@pytest.mark.parametrize("image_size", [16, 48, 84])
@pytest.mark.parametrize("agent_size", ["tiny", "paper"])
def test_every_size_judges_every_image_size(rng, agent_size, image_size):
    video = rng.integers(0, 256, (WINDOW, image_size, image_size, 3), np.uint8)
    prior = AdversarialMotionPrior([video], agent_size, image_size)
    reward = prior.reward(video[None])
    assert reward.shape == (1,)
    assert -2 <= reward[0] <= 1


def test_colours_lie_beside_each_other_in_a_window_and_are_from_0_to_1(rng):
    windows = rng.integers(0, 256, (2, WINDOW, SIDE, SIDE, 3), np.uint8)
    seen = amp.as_input(torch.from_numpy(windows)).numpy()
    for column in range(SIDE):
        for colour in range(3):
            expected = windows[:, :, :, column, colour] / 255
            np.testing.assert_allclose(seen[..., 3 * column + colour], expected, rtol=1e-6)


def test_what_is_replayed_is_rewarded_by_the_newest_discriminator_and_windows_begin_with_their_episodes(rng):
    prior = AdversarialMotionPrior(videos_of(rng, 20, 30), "tiny", SIDE)
    is_first = np.zeros((3, WINDOW + 5), bool)
    is_first[0, [WINDOW - 1, WINDOW + 1]] = is_first[1, 2] = True
    batch = batch_of(rng, is_first=is_first)
    windows = np.stack(
        [slow_window(batch["image"][i], is_first[i], t) for i in range(3) for t in range(WINDOW - 1, WINDOW + 5)]
    )
    before = prior.reward(windows)
    rewards, metrics = prior.relabel(batch, 6)
    now = prior.reward(windows)
    assert rewards.shape == (3, 6)
    assert rewards.dtype == np.float32
    np.testing.assert_allclose(rewards.ravel(), now, atol=1e-6)
    assert np.abs(now - before).max() > 1e-3
    assert prior.updates == 1
    assert metrics["discriminator_loss"] > 0


def test_experts_windows_are_of_one_video_each_and_begin_with_it(rng):
    videos = [first + np.arange(n)[:, None, None, None] for first, n in ((0, 5), (100, 50))]
    videos = [np.broadcast_to(video, (len(video), SIDE, SIDE, 3)).astype(np.uint8) for video in videos]
    numbers = AdversarialMotionPrior(videos, "tiny", SIDE)._expert_windows(5000)[..., 0, 0, 0].astype(int)
    first = np.where(numbers[:, -1:] < 100, 0, 100)
    np.testing.assert_array_equal(numbers, np.maximum(numbers[:, -1:] + np.arange(1 - WINDOW, 1), first))
    _, counts = np.unique(numbers[:, -1], return_counts=True)
    assert len(counts) == 55
    assert counts.min() > 50  # 5000 / 55 expected, with a standard deviation of 9


@pytest.mark.parametrize("what", ["pictures", "motion"])
def test_it_learns_to_reward_what_looks_and_moves_like_an_expert(rng, what):
    rows, time = np.arange(SIDE)[:, None, None], np.arange(30)[:, None, None, None]
    expert = np.where((rows - time) % SIDE < 3, 200, 50)  # a bar that moves down
    expert = np.broadcast_to(expert, (30, SIDE, SIDE, 3)).astype(np.uint8)
    agent = expert[::-1] if what == "motion" else 255 - expert
    prior = AdversarialMotionPrior([expert], "tiny", SIDE)
    is_first = np.arange(30)[None] == 0
    batch = make_batch(0, 1, 30, SIDE) | {"image": agent[None].copy(), "is_first": is_first}
    for _ in range(60):
        rewards_of_agent, _ = prior.relabel(batch, 30)
    rewards = prior.reward(np.stack([slow_window(expert, is_first[0], t) for t in range(5, 30)]))
    assert rewards.mean() > rewards_of_agent.mean() + 0.5


@pytest.mark.parametrize("agent", registry.AGENTS)
def test_training_goes_on_exactly_where_it_was_saved(rng, tmp_path, agent):
    replay = Replay(tmp_path / "replay", 1000, SIDE, action_size=2)
    for value in range(60):
        replay.append("env_0", make_step(value, is_last=value % 20 == 19, is_first=value % 20 == 0))
    videos = videos_of(rng, 20, 30)

    def learner(seed=0):
        length = 4 if agent == "dreamer" else 0
        options = {"exploration_weight": 0.0, "seed": seed, "batch_size": 3, "batch_length": length}
        learns = registry.make_agent(agent, "tiny", "continuous", 2, SIDE, **options)
        return Learner(learns, replay, 1.0, 0, seed, AdversarialMotionPrior(videos, "tiny", SIDE, seed=seed))

    def updated(learner, times):
        metrics = []
        for _ in range(times):
            learner.update()
            metrics.append(learner.metrics)
        return metrics

    straight = learner()
    expected = updated(straight, 5)
    half = learner()
    assert updated(half, 3) == expected[:3]
    half.save(tmp_path / "checkpoint")
    resumed = learner(7)
    resumed.load(tmp_path / "checkpoint")
    assert updated(resumed, 2) == expected[3:]
    assert resumed.reward.updates == 5
    for found, wanted in ((resumed.agent, straight.agent), (resumed.reward, straight.reward)):
        assert found.state()[1] == wanted.state()[1]
        tensors, others = found.state()[0], wanted.state()[0]
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    registry.load_agent(tmp_path / "checkpoint")  # the policy alone needs no reward


def test_the_agent_learns_from_the_new_rewards_not_from_those_in_the_replay(rng, tmp_path):
    replay = Replay(tmp_path / "replay", 1000, SIDE, action_size=2)
    for value in range(60):
        replay.append("env_0", make_step(value, reward=1e6))
    agent = registry.make_agent("drqv2", "tiny", "continuous", 2, SIDE, exploration_weight=0.0, seed=0, batch_size=8)
    learner = Learner(agent, replay, 1.0, 0, 0, AdversarialMotionPrior(videos_of(rng, 20), "tiny", SIDE))
    learner.update()
    assert abs(learner.metrics["n_step_reward"]) <= 6


def test_a_checkpoint_of_another_reward_is_refused(rng, tmp_path):
    replay = Replay(tmp_path / "replay", 1000, SIDE, action_size=2)
    agent = make_agent(batch_size=2, batch_length=4)
    videos = videos_of(rng, 20)

    def learner(size):
        return Learner(agent, replay, 1.0, 0, 0, AdversarialMotionPrior(videos, size, SIDE) if size else None)

    learner("").save(tmp_path / "fixed")
    learner("tiny").save(tmp_path / "learned")
    with pytest.raises(ModelError, match="fixed holds no learned reward"):
        learner("tiny").load(tmp_path / "fixed")
    with pytest.raises(ModelError, match="discriminator"):
        learner("paper").load(tmp_path / "learned")


def test_a_diverged_update_is_refused_and_changes_nothing(rng):
    prior = AdversarialMotionPrior(videos_of(rng, 20), "tiny", SIDE)
    with torch.no_grad():
        prior.discriminator.perceptron[-1].bias.fill_(torch.inf)
    before = {name: value.clone() for name, value in prior.discriminator.state_dict().items()}
    with pytest.raises(ModelError, match="diverged"):
        prior.relabel(batch_of(rng), 6)
    assert prior.updates == 0
    assert all(torch.equal(value, before[name]) for name, value in prior.discriminator.state_dict().items())


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        (None, None, "no expert videos"),
        ((WINDOW - 1, SIDE, SIDE, 3), np.uint8, "windows of 5 frames: an expert video has only 4"),
        ((20, 32, 32, 3), np.uint8, r"\[time, 16, 16, 3\], not uint8 \[20, 32, 32, 3\]"),
        ((20, SIDE, SIDE, 3), np.float32, "not float32"),
    ],
)
def test_videos_that_can_not_be_compared_with_are_refused(shape, dtype, said):
    with pytest.raises(ModelError, match=said):
        AdversarialMotionPrior([np.zeros(shape, dtype)] if shape else [], "tiny", SIDE)
