"""Gradient inversion: images whose gradient points where a lesion's did (Geiping et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as nnf

from ceus_models.nets.factory import build_net
from ceus_models.nets.losses import compute_lesion_losses
from ceus_models.nets.two_stream import TwoStream
from ceus_models.protocol.messages import LocalRule
from ceus_models.protocol.state import State, add_prefix, select_net
from sim.attacks.coordinator import CuriousCoordinator
from sim.attacks.crafted.frames import choose_lone
from sim.attacks.crafted.fusion_net import Floats
from sim.attacks.facts import Fact, Score

STEPS = 150
_RATE = 0.1
_SMOOTH = 0.05
_RULE = LocalRule(epochs=1, batch_size=256, learning_rate=1.0, momentum=0.0)
SEEN = 0.5
"""From this correlation on, beyond what the mean of other lesions has, a lesion counts as seen."""


def recover_images(attacker: CuriousCoordinator, steps: int = STEPS) -> list[Fact]:
    """The frames of the lone lesion of a type, from its gradient in an honest net. Raises Refused."""
    cohort, kind, lone = choose_lone(attacker)
    net = f"disease/{kind}"
    recipe = replace(attacker.recipe, class_weights={net: (0.0, 1.0)})
    module = build_net(net, recipe, attacker.seed)
    if not isinstance(module, TwoStream):
        raise ValueError(f"expected a two-stream net, found {net}")
    inputs = add_prefix({name: t.detach().clone().contiguous() for name, t in module.state_dict().items()}, f"{net}|")
    task = attacker.build_task("train", (net,), cohorts=(cohort,), inputs=inputs, rule=_RULE, recipe=recipe)
    seen = select_net(attacker.ask(task), net)
    frames = invert(module, seen, (lone.frames.shape, lone.flow.shape), steps)
    return [tuple(frames.reshape(-1).tolist())]


def invert(module: TwoStream, change: State, shapes: tuple[tuple[int, ...], tuple[int, ...]], steps: int) -> Floats:
    """(t h w) frames whose gradient has the direction of -change, and a small total variation."""
    names = [name for name, _ in module.named_parameters()]
    parameters = list(module.parameters())
    aim = [-change[name] for name in names]
    draws = torch.Generator().manual_seed(0)
    frames = torch.randn(1, shapes[0][0], 1, *shapes[0][1:], generator=draws).mul_(0.1).requires_grad_()
    flow = torch.randn(1, *shapes[1], generator=draws).mul_(0.1).requires_grad_()
    optimizer = torch.optim.Adam([frames, flow], lr=_RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        losses = compute_lesion_losses(module(frames, flow), torch.ones(1).long(), torch.ones(2), (1.0, 1.0, 1.0))
        found = torch.autograd.grad(losses.sum(), parameters, create_graph=True)
        distance = 1 - _compute_cosine(found, aim) + _SMOOTH * _measure_variation(frames)
        distance.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return np.asarray(frames.detach()[0, :, 0].double().numpy())


def _compute_cosine(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    left, right = (torch.cat([part.reshape(-1) for part in parts]) for parts in (one, other))
    return nnf.cosine_similarity(left, right, dim=0)


def _measure_variation(frames: Tensor) -> Tensor:
    return frames.diff(dim=-1).abs().mean() + frames.diff(dim=-2).abs().mean()


def list_images(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth, and after it the mean of all other lesions of the attacked site."""
    lone = choose_lone(attacker)[2]
    others = [s.frames.astype(np.float64) for s in attacker.sites[0].samples if s.patient != lone.patient]
    return [tuple(lone.frames.reshape(-1).astype(float).tolist()), tuple(np.mean(others, axis=0).reshape(-1).tolist())]


def judge_images(claimed: Sequence[Fact], true: Sequence[Fact]) -> Score:
    """The correlation with the lesion of what neither has in common with the mean of other lesions."""
    if not claimed:
        return Score(0, 1)
    mean = np.array(true[1])
    own, found = (_take_out(np.array(images), mean) for images in (true[0], claimed[0]))
    r = float(np.corrcoef(own, found)[0, 1])
    return Score(int(r >= SEEN), 1, f"r {r:.2f} beyond the mean of other lesions")


def _take_out(images: Floats, mean: Floats) -> Floats:
    """What a straight line on the mean's pixels leaves."""
    slope, height = np.polyfit(mean, images, 1)
    return np.asarray(images - slope * mean - height)
