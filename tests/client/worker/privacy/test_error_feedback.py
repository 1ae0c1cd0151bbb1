"""What rounding cuts off comes later: over rounds, what was sent is what was changed, less what is left."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from toy_lesions import task

from ceus_models.plan.answers.change_grid import CHANGE, STEPS, expand_changes, read_grid, restore_changes
from ceus_models.plan.rounds.shared_steps import compute_steps
from ceus_models.protocol.messages import Quantisation, Session, Task
from ceus_models.protocol.privacy.fixed_point import ROOM
from ceus_models.protocol.state import State, concatenate, select_net
from client.worker.privacy.error_feedback import Quantiser
from client.worker.tasks.memory_layout import forget
from client.worker.tasks.site_memory import SiteMemory

NET = "disease/HCC"
WEIGHT = 4


def asked(number: int, bits: int = 8, size: float | None = 0.01, stage: str = "stage") -> Task:
    made = dataclasses.replace(task("train", (NET,)), changes=Quantisation(bits), round=number, stage=stage)  # type: ignore[arg-type]
    start = select_net(made.inputs, NET)
    sizes = None if size is None else torch.full((len(start),), size, dtype=torch.float64)
    return dataclasses.replace(made, inputs={**made.inputs, f"{NET}|{STEPS}": compute_steps(start, sizes, bits)})


def change(number: int, size: float = 0.01, weight: int = WEIGHT) -> State:
    generator = torch.Generator().manual_seed(number)
    start = select_net(task("train", (NET,)).inputs, NET)
    moved = {f"{NET}|{n}": weight * size * torch.randn(t.shape, generator=generator) for n, t in start.items()}
    counts = {
        f"{NET}|#weight": torch.tensor(float(weight), dtype=torch.float64),
        f"{NET}|#loss": torch.tensor(1.0).double(),
    }
    return {**moved, **counts}


def quantise(site: Quantiser, of: Task, sums: State) -> State:
    return site.round_changes(of, site.add_residues(of, sums))


def residue(site: Quantiser, after: int) -> torch.Tensor:
    kept = site.memory.residues(asked(after + 1)).read(NET)
    assert kept is not None
    return kept["residue"].double()


def per_lesion(sums: State) -> torch.Tensor:
    return concatenate(t for n, t in sums.items() if "|#" not in n).double() / WEIGHT


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_was_sent_is_what_was_changed_less_what_is_left(tmp_path: Path, bits: int) -> None:
    """Exact but for float32's rounding of `change / lesions + residue` and of the residue, in each round."""
    site = Quantiser("site-01", SiteMemory(tmp_path))
    sent, true, rounds = 0.0, 0.0, 6
    for number in range(1, rounds + 1):
        sums = change(number)
        restored = restore_changes(quantise(site, asked(number, bits), sums), asked(number, bits))
        sent = sent + restored[f"{NET}|{CHANGE}"].double() / WEIGHT
        true = true + per_lesion(sums)
    left = residue(site, rounds)
    assert float((sent - (true - left)).abs().max()) <= rounds * 2.0**-25 * 0.1
    assert float((sent - true).abs().max()) > 2.0**-25  # rounding did lose something that the residue holds


def test_what_the_limit_cut_off_widens_the_next_range_and_is_sent_then(tmp_path: Path) -> None:
    site, of = Quantiser("site-01", SiteMemory(tmp_path)), asked(1, size=1e-4)
    grid, sums = read_grid(of, NET), change(1, size=0.01)
    sizes = expand_changes(quantise(site, of, sums), of)[f"{NET}|#sizes"] / WEIGHT
    assert float(sizes.mean()) > 0.7 * grid.limit  # steps are for changes a hundred times smaller
    wider = compute_steps(select_net(of.inputs, NET), sizes * grid.steps, 8)
    assert float((wider / grid.steps).mean()) > 4
    assert float(residue(site, 1).abs().max()) > 0.005
    nothing = {n: torch.zeros_like(t) if "|#" not in n else t for n, t in sums.items()}
    sent = restore_changes(quantise(site, asked(2, size=0.01), nothing), asked(2))[f"{NET}|{CHANGE}"] / WEIGHT
    assert float(sent.norm()) > 0.9 * float(residue(site, 1).norm())


def test_the_same_task_again_gives_the_same_bytes_even_after_a_restart(tmp_path: Path) -> None:
    first = Quantiser("site-01", SiteMemory(tmp_path))
    quantise(first, asked(1), change(1))
    answers = [quantise(first, asked(2), change(2))]
    restarted = Quantiser("site-01", SiteMemory(tmp_path))
    answers += [quantise(restarted, asked(2), change(2)) for _ in range(2)]
    assert all(torch.equal(one[f"{NET}|{CHANGE}"], answers[0][f"{NET}|{CHANGE}"]) for one in answers)
    other = quantise(Quantiser("site-02", SiteMemory(tmp_path / "other")), asked(2), change(2))
    assert not torch.equal(other[f"{NET}|{CHANGE}"], answers[0][f"{NET}|{CHANGE}"])


def test_residues_are_forgotten_with_their_stage_and_with_their_study(tmp_path: Path) -> None:
    site = Quantiser("site-01", SiteMemory(tmp_path))
    quantise(site, asked(1), change(1))
    site.memory.forget_residues(asked(1))
    assert site.memory.residues(asked(2)).read(NET)
    assert site.memory.residues(asked(2, stage="other")).read(NET) is None
    site.memory.forget_residues(asked(1, stage="other"))
    assert site.memory.residues(asked(2)).read(NET) is None
    quantise(site, asked(1), change(1))
    forget(tmp_path, asked(1).study)
    assert site.memory.residues(asked(2)).read(NET) is None


def test_zeros_for_a_change_that_was_not_finite_stay_zeros_and_keep_the_residue(tmp_path: Path) -> None:
    site = Quantiser("site-01", SiteMemory(tmp_path))
    quantise(site, asked(1), change(1))
    before = residue(site, 1)
    sent = quantise(site, asked(2), {n: torch.zeros_like(t) for n, t in change(2).items()})
    assert not sent[f"{NET}|{CHANGE}"].any()
    assert torch.equal(residue(site, 2), before)


def test_in_a_secure_sum_a_site_stays_within_its_share_of_the_words(tmp_path: Path) -> None:
    """3 sites, 2^23 - 1 steps, 10 000 lesions: 279 steps of 12 bits' 2047 are left, and the rest is fed back."""
    session = Session("0" * 32, ("site-01", "site-02", "site-03"), 2)
    of = dataclasses.replace(asked(1, 12, size=1e-4), session=session, level="sums")
    many = change(1, weight=10 * ROOM)
    total = expand_changes(quantise(Quantiser("site-01", SiteMemory(tmp_path)), of, many), of)
    numbers = total[f"{NET}|{CHANGE}"]
    assert 3 * int(numbers.abs().max()) < 2**23
    assert int(numbers.abs().max()) > 0.9 * 2**23 / 3
