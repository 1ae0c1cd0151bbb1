from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from toy_lesions import lesion, recipe

from ceus_models.nets.factory import build_net
from ceus_models.nets.fusion import LOGIT_BOUND, LOGIT_UNIT, build_fusion_inputs, count_inputs
from ceus_models.study.taxonomy import CLINICAL_NAMES, FUSION_NETS

AGE, AFP = CLINICAL_NAMES.index("age"), CLINICAL_NAMES.index("AFP")


@pytest.mark.parametrize(("net", "width"), [("fusion/D", 5), ("fusion/DC", 9), ("fusion/DB", 9), ("fusion/DCB", 13)])
def test_variants_see_their_modules(net: str, width: int) -> None:
    cases = [lesion(i) for i in range(4)]
    inputs = build_fusion_inputs(net, np.full((4, 9), 0.5, np.float32), cases, recipe())
    assert inputs.shape == (4, width) == (4, count_inputs(net, recipe()))
    assert build_net(net, recipe(), 1)(inputs).shape == (4, 6)


def test_inputs_in_order_and_unit() -> None:
    p = np.array([[0.5, 0.9, 0.1, 1.0, 0.0, 0.5, 0.9, 0.1, 0.6]], np.float32)
    one = lesion(3)
    x = build_fusion_inputs("fusion/DCB", p, [one], recipe())[0]
    logit = np.log(9) / LOGIT_UNIT
    bound = LOGIT_BOUND / LOGIT_UNIT
    assert x[:5].tolist() == pytest.approx([0, logit, -logit, bound, -bound], abs=1e-5)
    assert x[5:7].tolist() == pytest.approx([(one.clinical[AGE] - AGE) / 2, (one.clinical[AFP] - AFP) / 2], rel=1e-5)
    assert x[7:9].tolist() == [0, 0]
    assert x[9:].tolist() == pytest.approx([0, logit, -logit, np.log(1.5) / LOGIT_UNIT], abs=1e-5)


def test_a_missing_value_is_zero_with_a_flag() -> None:
    without_age = lesion(AGE)  # toy lesions lack the variable of their number
    x = build_fusion_inputs("fusion/DC", np.full((1, 9), 0.5, np.float32), [without_age], recipe())[0]
    assert x[5] == 0
    assert x[7:].tolist() == [1, 0]


def test_probabilities_must_be_nine_a_lesion() -> None:
    with pytest.raises(ValueError, match=r"\(1, 9\)"):
        build_fusion_inputs("fusion/D", np.full((1, 5), 0.5, np.float32), [lesion(0)], recipe())


@pytest.mark.parametrize("net", FUSION_NETS)
def test_deterministic_in_training_mode(net: str) -> None:
    module = build_net(net, recipe(), 1).train()
    x = torch.randn(3, count_inputs(net, recipe()))
    assert torch.equal(module(x), module(x))


def test_without_hidden_units_the_net_is_linear() -> None:
    given = dataclasses.replace(recipe(), fusion_hidden=0)
    net = build_net("fusion/DC", given, 1)
    x = torch.randn(3, count_inputs("fusion/DC", given))
    assert dict(net.named_parameters()).keys() == {"out.weight", "out.bias"}
    assert torch.allclose(net(x) - net(0 * x), x @ net.out.weight.T, atol=1e-6)
