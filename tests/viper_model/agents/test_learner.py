import time

import numpy as np
import pytest
import torch

from tests.viper_model.agents.examples import make_agent, make_batch, make_step
from viper_model.agents import registry
from viper_model.agents.learner import Learner
from viper_model.agents.registry import load_agent
from viper_model.agents.replay import Replay
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import write_tensors

PATIENCE = 60  # seconds; only a failing test waits so long


@pytest.fixture
def replay(tmp_path):
    replay = Replay(tmp_path / "replay", 1000, image_size=16, action_size=2)
    for value in range(40):
        replay.append("env_0", make_step(value, is_last=value % 10 == 9))
    return replay


def make_learner(replay, agent=None, ratio=1.0, prefill=0):
    agent = agent or make_agent(batch_size=2, batch_length=4)
    return Learner(agent, replay, replay_ratio=ratio, prefill_steps=prefill, seed=0)


def wait_until_caught_up(learner):
    deadline = time.monotonic() + PATIENCE
    while learner.behind():
        assert time.monotonic() < deadline
        time.sleep(0.001)  # else this thread keeps the interpreter from the learner's


def settle(learner):
    """Let the thread do all that is owed, and end it."""
    learner.start()
    wait_until_caught_up(learner)
    learner.pause()
    learner.stop()


def test_as_much_is_replayed_as_the_ratio_says(replay):
    learner = make_learner(replay, ratio=2.0)
    learner.collected(30)  # 60 steps to replay, 8 an update
    learner.start()
    wait_until_caught_up(learner)
    learner.stop()
    assert 60 // 8 - 3 <= learner.agent.updates <= 60 // 8
    assert learner.metrics["image_loss"] > 0


def test_an_agent_of_single_steps_learns_from_as_many_as_the_ratio_says(replay):
    agent = registry.make_agent("drqv2", "tiny", "continuous", 2, 16, exploration_weight=0.0, seed=0, batch_size=5)
    learner = make_learner(replay, agent, ratio=2.0)
    learner.collected(30)  # 60 steps to learn from, 5 an update, whatever surrounds them
    settle(learner)
    assert 60 // 5 - 3 <= agent.updates <= 60 // 5


def test_steps_before_the_prefill_earn_nothing(replay):
    learner = make_learner(replay, prefill=100)
    learner.start()
    learner.collected(100)
    assert not learner.behind()
    learner.stop()
    assert learner.agent.updates == 0


def test_a_paused_learner_stands_still_and_then_goes_on(replay):
    learner = make_learner(replay)
    learner.collected(80)
    assert not learner.behind()  # not started: waiting for it would not help
    learner.start()
    learner.pause()
    updates = learner.agent.updates
    assert not learner.behind()
    assert learner.agent.updates == updates
    learner.start()
    wait_until_caught_up(learner)
    learner.stop()
    assert learner.agent.updates > updates or updates >= 7


def test_a_learner_that_owes_much_is_behind(replay):
    learner = make_learner(replay)
    learner.collected(10_000_000)
    learner.start()
    assert learner.behind()
    learner.stop()


def test_an_error_in_the_thread_reaches_the_caller(replay):
    agent = make_agent(batch_size=2, batch_length=4)
    with torch.no_grad():
        agent.world_model.reward_head[0].weight[0, 0] = torch.inf
    learner = make_learner(replay, agent)
    learner.collected(80)
    learner.start()
    with pytest.raises(ModelError, match="diverged"):
        wait_until_caught_up(learner)
    with pytest.raises(ModelError, match="diverged"):
        learner.collected(1)
    learner.stop()


@pytest.mark.parametrize("exploration_weight", [0.0, 1.0])
def test_training_goes_on_exactly_where_it_was_saved(replay, tmp_path, exploration_weight):
    batches = [make_batch(seed) for seed in range(6)]
    straight = make_agent(exploration_weight)
    expected = [straight.update(batch) for batch in batches]

    half = make_agent(exploration_weight)
    for batch in batches[:3]:
        half.update(batch)
    make_learner(replay, half).save(tmp_path / "checkpoint")
    resumed = make_agent(exploration_weight, seed=7)  # another start, to be overwritten
    make_learner(replay, resumed).load(tmp_path / "checkpoint")
    assert [resumed.update(batch) for batch in batches[3:]] == expected[3:]
    tensors, document = straight.state()
    resumed_tensors, resumed_document = resumed.state()
    assert document == resumed_document
    assert tensors.keys() == resumed_tensors.keys()
    assert all(torch.equal(tensors[name], resumed_tensors[name]) for name in tensors)


def test_what_is_replayed_and_owed_goes_on_too(replay, tmp_path):
    straight = make_learner(replay)
    straight.collected(20)
    straight.save(tmp_path / "checkpoint", evaluated=3)
    resumed = make_learner(replay)
    assert resumed.load(tmp_path / "checkpoint") == {"evaluated": 3}
    for learner in (straight, resumed):
        learner.collected(60)
        settle(learner)
    # Both threads ran as many updates as the 80 steps owe, but for the slack, on the same sequences.
    for learner in (straight, resumed):
        assert 80 // 8 - 3 <= learner.agent.updates <= 80 // 8


def test_what_was_collected_after_the_last_save_of_a_killed_run_is_learned_from(replay, tmp_path):
    learner = make_learner(replay, ratio=1.0, prefill=5)
    learner.collected(20)
    learner.save(tmp_path / "checkpoint")
    killed = make_learner(replay, ratio=1.0, prefill=5)
    killed.load(tmp_path / "checkpoint")
    before_any_save = make_learner(replay, ratio=1.0, prefill=5)
    learner.collected(20)  # the replay's 40
    for resumed in (killed, before_any_save):
        resumed.catch_up()
        assert (resumed._collected, resumed._credit) == (learner._collected, learner._credit) == (40, 35)
        resumed.catch_up()
        assert resumed._credit == 35


def test_a_checkpoint_taken_while_learning_is_whole(replay, tmp_path):
    learner = make_learner(replay)
    learner.collected(10_000_000)
    learner.start()
    learner.save(tmp_path / "checkpoint")
    learner.stop()
    loaded = load_agent(tmp_path / "checkpoint")
    steps = {int(v) for name, v in loaded.state()[0].items() if name.endswith(".step")}
    assert steps <= {loaded.updates}  # every weight has seen every update


def test_an_agent_can_be_loaded_alone(replay, tmp_path):
    agent = make_agent(0.5, action_kind="discrete")
    agent.update(make_batch(action_kind="discrete"))
    make_learner(replay, agent).save(tmp_path / "checkpoint")
    loaded = load_agent(tmp_path / "checkpoint")
    image, first = make_batch()["image"][:2, 0], np.array([True, True])
    one, other = agent.policy(), loaded.policy()
    assert np.array_equal(
        one.act(one.initial(2), image, first, sample=False)[0],
        other.act(other.initial(2), image, first, sample=False)[0],
    )


def test_another_agent_s_checkpoint_is_refused(replay, tmp_path):
    make_learner(replay).save(tmp_path / "checkpoint")
    with pytest.raises(ModelError, match="action_kind"):
        make_learner(replay, make_agent(action_kind="discrete")).load(tmp_path / "checkpoint")
    with pytest.raises(ModelError, match="another model"):
        make_learner(replay, make_agent(1.0)).load(tmp_path / "checkpoint")
    write_tensors(tmp_path / "other", {"x": torch.zeros(1)}, {})
    for load in (make_learner(replay).load, load_agent):
        with pytest.raises(ModelError, match="holds no agent"):
            load(tmp_path / "other")
