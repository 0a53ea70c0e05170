import pytest

from viper_model.agents import registry
from viper_model.agents.registry import load_agent, make_agent
from viper_model.errors import ModelError
from viper_model.torch_tools.checkpoint import write_tensors

DREAMER = {"name": "dreamer", "size": "tiny", "action_kind": "continuous", "image_size": 16, "exploration_weight": 0.0}


def make(**changed):
    return make_agent(**{**DREAMER, "action_size": 2, "seed": 0, **changed})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "dreamr"}, "no agent 'dreamr': did you mean dreamer"),
        ({"name": "xyz"}, "did you mean dreamer or drqv2"),
        ({"size": "paper"}, "dreamer has no size 'paper': choose one of tiny, XS, S, M"),
        ({"name": "drqv2", "size": "XS"}, "drqv2 has no size 'XS': choose one of tiny, paper"),
        ({"image_size": 48}, "dreamer cannot see images of 48 pixels: choose one of 16, 32, 64, 128"),
        ({"name": "drqv2", "image_size": 8}, "drqv2 cannot see images of 8 pixels: choose one of 16, 32, 48, 64"),
        ({"name": "drqv2", "action_kind": "discrete"}, "drqv2 takes continuous actions, not discrete; dreamer does"),
        ({"action_kind": "tangled"}, "dreamer takes continuous or discrete actions, not tangled"),
        ({"name": "drqv2", "batch_length": 32}, "leave the batch length at 0"),
    ],
)
def test_what_an_agent_cannot_be_is_told_in_one_line(changed, told):
    with pytest.raises(ModelError) as refusal:
        make(**changed)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", registry.AGENTS)
def test_an_agent_is_loaded_by_the_name_in_its_checkpoint(tmp_path, name):
    tensors, document = make(name=name).state()
    write_tensors(tmp_path / "checkpoint", tensors, {"agent": document})
    assert load_agent(tmp_path / "checkpoint").name == name


def test_a_checkpoint_from_before_there_was_a_choice_is_dreamer_s(tmp_path):
    tensors, document = make().state()
    del document["name"]
    write_tensors(tmp_path / "checkpoint", tensors, {"agent": document})
    assert load_agent(tmp_path / "checkpoint").name == "dreamer"
    with pytest.raises(ModelError, match="holds an agent of name 'dreamer', not 'drqv2'"):
        make(name="drqv2").restore(tensors, document, tmp_path / "checkpoint")


@pytest.mark.parametrize(("batch_size", "batch_length"), [(0, 0), (5, 7)])
def test_batches_are_the_size_s_unless_chosen(batch_size, batch_length):
    batch = make(batch_size=batch_size, batch_length=batch_length).batch
    sequences, steps = batch_size or 8, batch_length or 32
    assert batch == (sequences, steps, sequences * steps, steps)
