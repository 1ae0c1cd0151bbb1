"""Gradient inversion lowers its own distance, and is judged by what the mean of other lesions does not explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from attacked_sites import FRAMES, SIDE, open_attacker
from torch.nn import functional as nnf

from ceus_models.nets.factory import build_net
from ceus_models.nets.two_stream import TwoStream
from sim.attacks.audits.inversion import invert, judge_images

DRAWS = np.random.default_rng(1)
MEAN = DRAWS.random(500)
OWN = 0.9 * MEAN + 0.1 * DRAWS.random(500)


def test_the_mean_of_other_lesions_recovers_nothing() -> None:
    true = [tuple(OWN), tuple(MEAN)]
    assert judge_images([tuple(OWN * 3 + 1)], true).recovered == 1
    assert judge_images([tuple(MEAN + 0.01 * DRAWS.random(500))], true).recovered == 0
    assert judge_images([], true).of == 1


def gradient(module: TwoStream, frames: torch.Tensor, flow: torch.Tensor) -> list[torch.Tensor]:
    output = module(frames, flow)
    heads = (output.spatial, output.temporal, output.final)
    loss = sum(nnf.binary_cross_entropy_with_logits(head[:, 0], torch.ones(1)) for head in heads)
    return list(torch.autograd.grad(loss, list(module.parameters())))


def test_inversion_turns_the_gradient_towards_the_one_that_was_seen(tmp_path: Path) -> None:
    module = build_net("disease/HCC", open_attacker(tmp_path).recipe, 1)
    assert isinstance(module, TwoStream)
    shapes = (FRAMES, SIDE, SIDE), (2, 2, SIDE, SIDE)
    seen = gradient(module, torch.rand(1, FRAMES, 1, SIDE, SIDE), torch.rand(1, *shapes[1]))
    change = {name: -part for (name, _), part in zip(module.named_parameters(), seen, strict=True)}

    def measure(frames: np.ndarray) -> float:
        found = gradient(module, torch.from_numpy(frames).float()[None, :, None], torch.zeros(1, *shapes[1]))
        flat = (torch.cat([part.reshape(-1) for part in parts]) for parts in (found, seen))
        return float(nnf.cosine_similarity(*flat, dim=0))

    assert measure(invert(module, change, shapes, 12)) > measure(invert(module, change, shapes, 0))
