"""Probabilities in the order of lesions, and statistics that are averages."""

from __future__ import annotations

import torch
from toy_lesions import lesions, recipe

from ceus_models.nets.factory import CPU
from ceus_models.nets.module_cache import initial_state, load_module
from ceus_models.nets.predict import measure_statistics, scores
from ceus_models.nets.two_stream import prepare
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import outputs_of


def test_measured_statistics_are_the_averages_of_the_pass() -> None:
    made = recipe(Architecture(10, 10, 8, 4, "batch_local"))
    kept = load_module("disease/HCC", made, initial_state("disease/HCC", made, 1), None, CPU)
    measure_statistics(kept.module, lesions(4), made)
    frames, _ = prepare(lesions(4), recipe().normaliser, CPU)
    with torch.no_grad():
        seen = kept.module.spatial.backbone.conv1(frames.flatten(0, 1))
    expected = seen.mean(dim=(0, 2, 3))
    torch.testing.assert_close(kept.tensors["spatial.backbone.bn1.running_mean"], expected, atol=1e-5, rtol=1e-4)


def test_scores_are_probabilities_in_the_order_of_lesions() -> None:
    for net in ("disease/HCC", "disease/all"):
        kept = load_module(net, recipe(), initial_state(net, recipe(), 1), None, CPU)
        cases = lesions(19)  # more than one batch
        p = scores(kept.module, cases, recipe())
        assert p.shape == (19, outputs_of(net))
        assert ((p > 0) & (p < 1)).all()
        alone = scores(kept.module, [cases[17]], recipe())
        assert abs(p[17] - alone[0]).max() < 1e-6
