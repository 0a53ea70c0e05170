import numpy as np
import pytest

import sim
from sim import Env, SimError
from sim.atari import Atari
from sim.contract import EnvContract
from sim.experts import make_behaviour

# Where each game keeps its score: found by writing to every byte of the memory and watching the screen.
SCORE_BYTES = {
    "assault": (0, 1, 2),
    "atlantis": (33, 34, 35),
    "boxing": (18, 19),
    "breakout": (76, 77),
    "defender": (28, 29, 30, 31, 32, 33),
    "freeway": (103, 104),
    "kangaroo": (39, 40),
    "pong": (13, 14),
    "zaxxon": (104, 105),
}


def make(task: str, size: tuple[int, int] = (64, 64), **options: object) -> Atari:
    environment = sim.make("atari", task, image_size=size, **options)  # type: ignore[arg-type]
    assert isinstance(environment, Atari)
    return environment


class TestAGame(EnvContract):
    steps_to_compare = 30
    episode_steps = 100
    returns_have_limits = False

    def make(self, seed: int) -> Env:
        return make("boxing", seed=seed, noops=30, max_frames=400)


class TestAGameWithLives(EnvContract):
    steps_to_compare = 60
    starts_vary = False  # The console always begins alike; sticky actions are what is random.
    returns_have_limits = False

    def make(self, seed: int) -> Env:
        return make("breakout", seed=seed, life_loss=True, full_actions=True, action_repeat=3)


@pytest.mark.parametrize("game", sim.tasks("atari"))
def test_frames_do_not_depend_on_the_score(game: str) -> None:
    masked, shown = make(game, (210, 160)), make(game, (210, 160), show_score=True)
    for environment, differ in ((masked, False), (shown, True)):
        rng = np.random.default_rng(0)
        environment.reset()
        for _ in range(50):
            environment.step(environment.description.action_space.sample(rng))
        now = environment.console.cloneState()
        noop = np.eye(environment.description.action_space.size, dtype=np.float32)[0]
        frames = []
        # Decimal digits in both halves of a byte, but for Pong, which ends at 21.
        values = (3, 8, 15) if game == "pong" else (0x11, 0x35, 0x77)
        for byte in SCORE_BYTES[game]:
            for value in values:
                environment.console.restoreState(now)
                environment.console.setRAM(byte, value)
                frames.append(environment.step(noop).image)
        same = [np.array_equal(frames[0], frame) for frame in frames[1:]]
        assert all(same) is not differ
        environment.close()


def test_the_mask_hides_no_more_than_the_score() -> None:
    for game in sim.tasks("atari"):
        with make(game, (210, 160)) as masked, make(game, (210, 160), show_score=True) as shown:
            one, other = masked.reset().image, shown.reset().image
        hidden = np.zeros((210, 160), bool)
        for top, left, bottom, right in masked._game.score_areas:
            hidden[top:bottom, left:right] = True
        assert np.array_equal(one[~hidden], other[~hidden])
        assert hidden.mean() < 0.05


def test_flickering_sprites_are_seen_in_every_frame() -> None:
    with make("defender", (210, 160), sticky=0.0) as held, make("defender", (210, 160), sticky=0.0) as single:
        held.reset()
        single.reset()
        noop = np.eye(held.description.action_space.size, dtype=np.float32)[0]
        for _ in range(20):
            image = held.step(noop).image
            console = [single.console.act(single.actions[0]) for _ in range(3)] and single.console.getScreenRGB()
            single.console.act(single.actions[0])
            pooled = np.maximum(console, single.console.getScreenRGB())
            top, left, bottom, right = held._game.score_areas[0]
            pooled[top:bottom, left:right] = 0
            assert np.array_equal(image, pooled)


def test_a_lost_life_ends_the_episode_and_the_game_goes_on() -> None:
    with make("breakout", life_loss=True, sticky=0.0) as environment:
        environment.reset()
        fire = environment.actions.index(next(action for action in environment.actions if action.name == "FIRE"))
        action = np.eye(len(environment.actions), dtype=np.float32)[fire]
        for lives in (4, 3):
            time_step = environment.step(action)
            while not time_step.is_last:
                time_step = environment.step(action)
            assert time_step.is_terminal
            assert environment.console.lives() == lives
            assert environment.reset().is_first
            assert environment.console.lives() == lives


def test_what_an_expert_tries_on_the_console_is_not_seen() -> None:
    with (
        make("boxing", action_repeat=1, sticky=0.0, seed=3) as tried,
        make("boxing", action_repeat=1, sticky=0.0, seed=3) as untried,
    ):
        tried.reset(), untried.reset()
        rng = np.random.default_rng(0)
        for _ in range(60):
            state = tried.console.cloneState()
            for action in rng.integers(len(tried.actions), size=8):
                tried.console.act(tried.actions[action])
            tried.console.restoreState(state)
            action = np.eye(len(tried.actions), dtype=np.float32)[rng.integers(len(tried.actions))]
            assert np.array_equal(tried.step(action).image, untried.step(action).image)


def test_time_limits_end_an_episode_that_is_not_over() -> None:
    with make("pong", max_frames=10) as environment:
        environment.reset()
        noop = np.eye(6, dtype=np.float32)[0]
        time_steps = [environment.step(noop) for _ in range(3)]
        assert [time_step.is_last for time_step in time_steps] == [False, False, True]
        assert not time_steps[-1].is_terminal


# A human scores 12.1 in 7,200 frames of boxing; random play about 0. Who plays at random never gets across the road.
@pytest.mark.parametrize(("game", "max_frames", "least"), [("boxing", 400, 13), ("freeway", 800, 2)])
def test_experts_score_and_leave_the_console_as_it_was(game: str, max_frames: int, least: float) -> None:
    with make(game, seed=2, max_frames=max_frames) as environment:
        time_step, score = environment.reset(), 0.0
        expert = make_behaviour("expert", "atari", game, seed=0)
        expert.reset(environment)
        while not time_step.is_last:
            before = environment.console.getRAM().copy()
            action = expert.act(environment)
            assert np.array_equal(environment.console.getRAM(), before)
            time_step = environment.step(action)
            score += time_step.task_reward
    assert score >= least


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("pnog", {}, "pong"),
        ("pong", {"sticky": 1.5}, "sticky"),
        ("pong", {"noops": -1}, "noops"),
        ("pong", {"arm": "panda"}, "option 'arm'"),
    ],
)
def test_mistakes_are_told(task: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(SimError, match=words) as error:
        sim.make("atari", task, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
