"""A secure sum is the plain sum, bit for bit, whoever is lost at whichever message; fewer than the threshold is void."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from fake_sites import FakeLink
from secure_sites import SecureLink, SecureSite, same_state, secure_sites

from ceus_models.plan.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task
from ceus_models.protocol.state import State
from server.rounds.opening_file import OpeningFile
from server.rounds.round import Call, gather_answers
from server.rounds.screening import Gate
from server.rounds.secure_round import gather_sums

NET = "disease/HCC"
COHORTS = ("training_a",)


def lesions(sites: list[SecureSite]) -> dict[str, dict[str, int]]:
    held: dict[str, dict[str, int]] = {}
    for site in sites:
        held[site.name] = {c: sum(x.cohort == c for x in site.plain.lesions) for c in ("training_a", "validation")}
    return held


def make_task(kind: str, level: str = "sums", **changes: object) -> Task:
    generator = torch.Generator().manual_seed(3)
    weights = {f"{NET}|w": torch.randn(30, 4, generator=generator), f"{NET}|b": torch.randn(4, generator=generator)}
    nets = {} if kind == "tally" else {"nets": (NET,), "inputs": weights}
    rule = {"rule": LocalRule(batch_size=8)} if kind == "train" else {}
    values = {
        "kind": kind,
        "study": "plan",
        "seed": 7,
        "stage": "stage",
        "round": 1,
        "cohorts": COHORTS,
        "level": level,
    }
    return Task(**{**values, **nets, **rule, **changes})


def make_call(task: Task, sites: list[SecureSite], told: list | None = None) -> Call:
    names = tuple(site.name for site in sites)
    gate = Gate(task, Screening(), lesions(sites), {}, len(names))
    tell = (lambda *what: told.append(what)) if told is not None else (lambda *what: None)
    return Call(task, gate, names, lambda update: update.sums, dict, tell)


def sum_plainly(task: Task, sites: list[SecureSite], names: tuple[str, ...] | None = None) -> State:
    chosen = [site for site in sites if names is None or site.name in names]
    call = make_call(replace(task, level="none"), chosen)
    total, record = gather_answers(FakeLink([site.plain for site in chosen]), call)
    assert len(record.counted) == len(chosen), (record.excluded, record.refused)
    return {name: t for name, t in total.items() if not name.endswith("|own")}


def sum_securely(task: Task, link: SecureLink, folder, sites: list[SecureSite] | None = None):
    keys = {site.name: site.sessions.key.public.hex() for site in link.members}
    return gather_sums(link, make_call(task, sites or list(link.members)), keys, OpeningFile(folder))


TASKS = {
    "train": make_task("train"),
    "tally": make_task("tally", inputs={"figures": torch.tensor(1)}),
    "evaluate": make_task("evaluate", nets=(NET, "disease/all"), inputs={}, replicates=5),
    "validate": make_task("evaluate"),
}


@pytest.mark.parametrize("count", [3, 12, 52])
@pytest.mark.parametrize("kind", TASKS)
def test_a_secure_sum_is_the_plain_sum(tmp_path, kind, count):
    if kind == "evaluate" and count == 52:
        count = 24  # its counts with replicates are large; floats of 52 sites are in the others
    sites, task = secure_sites(tmp_path, count), TASKS[kind]
    total, record = sum_securely(task, SecureLink(sites), tmp_path)
    assert record.counted == tuple(site.name for site in sites)
    expected = sum_plainly(task, sites)
    assert {name: t.dtype for name, t in total.items()} == {name: t.dtype for name, t in expected.items()}
    assert same_state(
        {name: total[name] for name in sorted(total)}, {name: expected[name] for name in sorted(expected)}
    )


MOMENTS = ("offer", "masked", "confirm", "open")


def drop_outs() -> list[tuple[tuple[str, ...], str]]:
    """Up to two of seven sites, each lost at any message."""
    names = [f"site-{number:02d}" for number in range(1, 8)]
    cases = [{name: moment} for name in names for moment in MOMENTS]
    pairs = itertools.combinations(names, 2)
    cases += [{a: x, b: y} for a, b in pairs for x, y in itertools.product(MOMENTS, repeat=2)]
    return [(tuple(f"{name}:{moment}" for name, moment in case.items()), "") for case in cases]
