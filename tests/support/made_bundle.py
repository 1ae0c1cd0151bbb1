"""A model of untrained nets whose answers differ from lesion to lesion, for tests of what is said of them."""

from __future__ import annotations

import dataclasses

import torch

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.metrics.ood import FIGURES, Moments, TrainingFigures
from ceus_models.nets.heads import list_nets
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe, Sharing
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import CLINICAL, FUSION_NETS, SUBMODELS

PROCESSING = Processing(frames_to_peak=6, frames_after=2, size=32, flow_maps=2, flow_size=32, margin_px=4.0)
RECIPE = Recipe(
    Architecture(10, 10, 8, 4),
    Normaliser(0.3, 0.2, 1.0, (0.5,) * len(CLINICAL), (20.0,) * len(CLINICAL)),
    ("age", "sex", "AFP", "ALB"),
    {},
    fusion_hidden=8,
)
WIDE = TrainingFigures(1000, {name: Moments(200, 0.0, 100.0) for name in FIGURES})
"""Nothing is far from it, and nothing is missed."""
MEANS = {"level_mean": 0.25, "level_sd": 0.24, "level_first": -4.5, "level_last": 0.42, "change": -2.6, "flow": 0.33}
MEANS |= {"PE_dB": 35.3, "TTP": 1.83, "RT": 1.71, "mTT": 4.05}
SPREADS = {
    "level_mean": 0.041,
    "level_sd": 0.015,
    "level_first": 0.87,
    "level_last": 0.058,
    "change": 0.11,
    "flow": 0.30,
}
SPREADS |= {"PE_dB": 6.0, "TTP": 0.54, "RT": 0.55, "mTT": 0.20}
CEUS = TrainingFigures(231, {name: Moments(231, MEANS[name], SPREADS[name]) for name in FIGURES})
"""Of 231 training lesions of the demo, rounded."""


def made_bundle(typical: TrainingFigures | None = WIDE, sharing: Sharing = "separate", **changes: object) -> Bundle:
    recipe = dataclasses.replace(RECIPE, sharing=sharing)
    names = (*list_nets(SUBMODELS, sharing), *FUSION_NETS)
    nets = {net: scattered(build_initial_state(net, recipe, 1)) for net in names}
    made = Bundle(nets, recipe, PROCESSING, "ab" * 32, {"plan": "made"}, typical=typical)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def scattered(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Away from the start, where the branches weigh the same."""
    rng = torch.Generator().manual_seed(len(state))
    return {name: tensor + 0.3 * torch.randn(tensor.shape, generator=rng) for name, tensor in state.items()}
