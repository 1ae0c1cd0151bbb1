"""Probabilities in the order of lesions, and statistics that are averages."""

from __future__ import annotations

import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import CPU
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.predict import measure_statistics, predict_scores
from ceus_models.nets.two_stream import prepare_inputs
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import count_outputs


def test_measured_statistics_are_the_averages_of_the_pass() -> None:
    made = recipe(Architecture(10, 10, 8, 4, "batch_local"))
    kept = load_net("disease/HCC", made, build_initial_state("disease/HCC", made, 1), None, CPU)
    measure_statistics(kept.module, lesions(4), made)
    frames, _ = prepare_inputs(lesions(4), recipe().normaliser, CPU)
    with torch.no_grad():
        seen = kept.module.spatial.backbone.conv1(frames.flatten(0, 1))
    expected = seen.mean(dim=(0, 2, 3))
    torch.testing.assert_close(kept.tensors["spatial.backbone.bn1.running_mean"], expected, atol=1e-5, rtol=1e-4)


def test_scores_are_probabilities_in_the_order_of_lesions() -> None:
    for net in ("disease/HCC", "disease/all"):
        kept = load_net(net, recipe(), build_initial_state(net, recipe(), 1), None, CPU)
        cases = lesions(19)  # more than one batch
        p = predict_scores(kept.module, cases, recipe())
        assert p.shape == (19, count_outputs(net))
        assert ((p > 0) & (p < 1)).all()
        alone = predict_scores(kept.module, [cases[17]], recipe())
        assert abs(p[17] - alone[0]).max() < 1e-6
