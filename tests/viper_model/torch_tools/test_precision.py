"""What precision is chosen where the processor has instructions for bfloat16, and where it hasn't."""

from types import MappingProxyType

import pytest
import torch

from viper_model.errors import ModelError
from viper_model.torch_tools.precision import WIDE, chosen_precision, slower_than_float32

CPU = torch.device("cpu")


def on_a_processor_with(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: MappingProxyType(capabilities))


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_auto_is_bfloat16_for_wide_models_on_a_processor_that_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, feature: str
) -> None:
    on_a_processor_with(monkeypatch, avx512_f=True, **{feature: True})
    assert chosen_precision("auto", CPU, WIDE) == "bfloat16"
    assert chosen_precision("auto", CPU, WIDE - 1) == "float32"
    assert slower_than_float32("bfloat16", CPU) == ""


def test_elsewhere_auto_is_float32_and_bfloat16_is_told_to_be_slower_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_a_processor_with(monkeypatch, avx512_f=True, avx512_bf16=False)
    assert chosen_precision("auto", CPU, WIDE) == "float32"
    assert chosen_precision("bfloat16", CPU, WIDE) == "bfloat16"  # it is the user's choice
    told = slower_than_float32("bfloat16", "cpu")
    assert "choose auto or float32" in told
    assert "\n" not in told
    assert slower_than_float32("auto", CPU) == slower_than_float32("float32", CPU) == ""


def test_an_unknown_precision_is_told_the_known_ones() -> None:
    with pytest.raises(ModelError, match="auto, float32, bfloat16"):
        chosen_precision("float8", CPU, WIDE)
