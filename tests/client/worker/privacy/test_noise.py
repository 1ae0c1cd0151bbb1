"""Noise: of the claimed size, from the site's own key, the same for the same question and data, and for no other."""

from __future__ import annotations

import ast
import dataclasses
import math
from pathlib import Path

import pytest
import torch
from toy_lesions import task

import ceus_models.protocol.privacy.discrete_gaussian as sampler
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import LocalRule, PrivateRule, Session, Task
from ceus_models.protocol.privacy.gradient_grid import compute_grid_step
from ceus_models.protocol.state import State
from ceus_models.protocol.sums import ExactSum
from client.worker.privacy import noise
from client.worker.privacy.noise import add_noise

NET = "disease/HCC"
COUNT = 400


def make_task(sites: int = 1, z: float = 4.0, **changes: object) -> Task:
    private = PrivateRule(clip=0.5, noise=z, sites=sites)
    return task("train", (NET,), rule=LocalRule(momentum=0.0, trains="heads", private=private), **changes)


def zeros(count: int = COUNT) -> State:
    return {f"{NET}|spatial_head.weight": torch.zeros(1, count - 1), f"{NET}|spatial_head.bias": torch.zeros(1)}


def noised(site: Path, of: Task, sums: State | None = None) -> torch.Tensor:
    found = add_noise(ReceivedTask(of), zeros() if sums is None else sums, site)
    return torch.cat([tensor.reshape(-1) for tensor in found.values()])


def test_the_same_question_and_data_get_the_same_noise_and_nothing_else_does(tmp_path: Path) -> None:
    first = noised(tmp_path, make_task())
    session = Session("0" * 32, ("a", "b"), 2)
    extra = {**make_task().inputs, "#boxes": torch.zeros(3)}
    assert torch.equal(first, noised(tmp_path, make_task()))
    assert torch.equal(first, noised(tmp_path, make_task(session=session, inputs=extra)))  # another try of the sum
    step = compute_grid_step(0.5, COUNT)
    other_data = {name: tensor + step for name, tensor in zeros().items()}
    for other in (
        make_task(attempt=1),
        make_task(round=2),
        make_task(study="b"),
        make_task(stage="b"),
        make_task(z=4.1),
    ):
        assert not torch.equal(first, noised(tmp_path, other))
    assert not torch.equal(first, noised(tmp_path, make_task(), other_data) - step)
    assert not torch.equal(first, noised(tmp_path / "other site", make_task()))


def test_two_nets_get_other_noise(tmp_path: Path) -> None:
    rule = LocalRule(momentum=0.0, private=PrivateRule(clip=0.5, noise=4.0))
    nets = (NET, "disease/HM")
    both = task("train", nets, rule=rule)
    found = add_noise(ReceivedTask(both), {f"{net}|w": torch.zeros(COUNT) for net in nets}, tmp_path)
    assert not torch.equal(*(found[f"{net}|w"] for net in nets))


@pytest.mark.parametrize("sites", [1, 4])
def test_the_sum_over_sites_has_the_claimed_noise_and_stays_on_the_grid(tmp_path: Path, sites: int) -> None:
    count, z, clip = 100_000, 4.0, 0.5
    total = ExactSum()
    for site in range(sites):
        total.add(add_noise(ReceivedTask(make_task(sites, z)), zeros(count), tmp_path / str(site)))
    numbers = torch.cat([tensor.reshape(-1) for tensor in total.take_float64().values()])
    assert float(numbers.var()) == pytest.approx((z * clip) ** 2, rel=0.02)
    steps = numbers / compute_grid_step(clip, count)
    assert torch.equal(steps, steps.round())
    assert float(numbers.mean().abs()) < 4 * z * clip / math.sqrt(count)


def test_noise_is_added_to_the_sum(tmp_path: Path) -> None:
    step = compute_grid_step(0.5, COUNT)
    sums = {name: torch.full_like(tensor, 300 * step) for name, tensor in zeros().items()}
    quiet = dataclasses.replace(make_task(), rule=dataclasses.replace(make_task().rule, private=PrivateRule(0.5, 1e-6)))
    assert torch.equal(noised(tmp_path, quiet, sums), torch.full((COUNT,), 300 * step))


@pytest.mark.parametrize("module", [noise, sampler])
def test_noise_does_not_know_the_studys_public_seed(module: object) -> None:
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))))  # type: ignore[attr-defined]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names & {"load_key", "Cipher"}
    assert not {name for name in names if "seed" in name or name in ("random", "default_rng", "Generator", "randn")}
