"""The attack on bootstrap replicates: what single lesions a coordinator can read out of one site's answer.

A lesion has the same bootstrap weights in all tables of a site, so the weights are a fingerprint. A cell of one lesion
shows them, and least squares on another table says in which of its cells that lesion lies.
"""

from __future__ import annotations

import datetime
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_readings import cases as made_cases
from toy_lesions import lesions, task, with_submodels

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.score_bins import BINS, compute_bins
from ceus_models.study.subgroups import build_slices
from client.policy.policy import Policy
from client.worker.tasks.counts.paired_counts import Verdicts, count_pairs
from client.worker.tasks.counts.subgroup_counts import count_members, count_values, subgroup_counts
from client.worker.tasks.handlers import WORK
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory

REPLICATES, LESIONS = 400, 60
Table = np.ndarray  # (1+R cells)


def isolate(tables: list[Table]) -> list[np.ndarray]:
    """The fingerprints (1+R) of lesions that lie alone in a cell of a table; each once."""
    found: dict[bytes, np.ndarray] = {}
    for table in tables:
        for cell in table.T:
            if cell[0] == 1 and len(cell) > 1:
                found[cell.tobytes()] = cell
    return list(found.values())


def place_in(prints: list[np.ndarray], table: Table) -> list[int]:
    """The cell of a table in which each lesion lies, by least squares of every cell on the fingerprints."""
    if not prints:
        return []
    known, totals = np.stack(prints, 1)[1:] - 1.0, table[1:] - table[:1].astype(float)  # a weight is 1 on average
    weights, *_ = np.linalg.lstsq(known, totals, rcond=None)
    return weights.argmax(1).tolist()


def old_tables(scores: np.ndarray, facts: np.ndarray) -> tuple[Table, Table]:
    """What a site sent before: a histogram of scores and a table of facts, with the weights of its lesions."""
    draws = np.stack([poisson_weights(1, f"lesion-{i}", REPLICATES) for i in range(LESIONS)], 1)  # (1+R n)
    return tuple(draws @ np.eye(cells, dtype=np.int64)[places] for places, cells in ((scores, BINS), (facts, 2)))


def test_the_old_format_gave_single_lesions_and_their_facts() -> None:
    rng = np.random.default_rng(0)
    scores, facts = compute_bins(rng.random(LESIONS)), rng.integers(0, 2, LESIONS)
    histogram, table = old_tables(scores, facts)
    prints = isolate([histogram])
    alone = [i for i in range(LESIONS) if (scores == scores[i]).sum() == 1]
    assert len(prints) == len(alone) > 3
    at = {scores[i]: facts[i] for i in alone}
    order = [int(np.flatnonzero((one == histogram.T).all(1))[0]) for one in prints]
    assert place_in(prints, table) == [at[place] for place in order], "every fact is right"


@pytest.mark.parametrize("cell", [1, 5])
def test_what_a_site_sends_now_isolates_nobody(tmp_path: Path, cell: int) -> None:
    """Three evaluations of one site: no table has replicates, so there is no fingerprint to look for."""
    cases = lesions(LESIONS, "external_test_c")
    site = Place("site-01", SiteMemory(tmp_path), cell=cell)
    asked = with_submodels(task("evaluate", ("fusion/D", "fusion/DCB", "disease/HCC"), comparisons=True))
    tables: list[Table] = []
    for number in range(3):
        sums, _ = WORK["evaluate"](replace(asked, round=number), cases, site)
        tables += [tensor.reshape(1, -1).numpy() for tensor in sums.values()]
        assert not any("replicates" in name for name in sums)
    prints = isolate(tables)
    assert prints == []
    assert place_in(prints, tables[0]) == []


def test_replicates_of_lesions_are_refused_by_a_policy_as_it_comes() -> None:
    asked = task("evaluate", ("disease/HCC",), replicates=1, cohorts=("validation",))
    reason = Policy({"ours": "0" * 64}).find_refusal(asked, datetime.datetime.now(datetime.UTC))
    assert reason is not None
    assert "max_replicates is 0" in reason


def test_no_difference_of_tables_speaks_of_fewer_lesions_than_the_cell(tmp_path: Path) -> None:
    """Counts of lesions of any two tables of one cohort differ by none, or by at least a cell."""
    cell = 5
    rng = np.random.default_rng(3)
    site = Place("site-01", SiteMemory(tmp_path), cell=cell)
    nets = ("disease/HCC", "disease/HM", "disease/all", "fusion/D", "fusion/DC")
    asked = with_submodels(task("evaluate", nets, comparisons=True))
    for _ in range(3):
        kinds = rng.choice(["HCC", "HM", "ICC", "HH", "HA", "OT"], 70, p=(0.4, 0.2, 0.1, 0.1, 0.05, 0.15))
        cases = [replace(s, label=kind) for s, kind in zip(lesions(70), kinds, strict=True)]
        sums, _ = WORK["evaluate"](asked, cases, site)
        spoken = [int(t.sum()) for n, t in sums.items() if n.endswith("confusion") and "readers" not in n]
        spoken += [int(t.sum()) for n, t in sums.items() if n.endswith("scores") and t.shape[0] == 1]
        spoken.append(70)  # hello
        assert all(a == b or abs(a - b) >= cell for a in spoken for b in spoken), spoken


def test_no_combination_of_subgroups_tally_and_pairs_gives_a_small_verdict() -> None:
    """How many lesions of one value a net has right, or wrong, never follows where it is fewer than the cell."""
    cell, shown = 5, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        cases = made_cases(80, seed)
        nets = {net: Verdicts(np.arange(80), rng.random(80) < 0.75) for net in ("fusion/D", "fusion/DC")}
        values = count_values(cases, cell).numpy()
        groups = [subgroup_counts(cases, own, cell)["groups"].numpy() for own in nets.values()]
        paired = bool(count_pairs(tuple(nets), nets, cell).any())
        member = count_members(cases)
        for span in build_slices().values():
            lesions = member[:, span].sum(0)
            tables = [table[span] for table in groups]
            shown += sum(int((table[:, 0] > 0).sum()) for table in tables)
            if np.count_nonzero(lesions) < 2:
                continue  # everybody has one value
            for value, net, answer in solve_verdicts(lesions, values[span], tables, paired):
                right = list(nets.values())[net].right
                assert (member[:, span][:, value].astype(bool) & (right == answer)).sum() >= cell
    assert shown > 200


def solve_verdicts(
    lesions: np.ndarray, values: np.ndarray, tables: list[np.ndarray], paired: bool
) -> list[tuple[int, int, bool]]:
    """(value, net, right or wrong) of the counts of lesions that linear equations determine.

    Unknown: lesions by value and by whether each of two nets is right. Known: all totals, what `values` and `tables`
    show, the pair's table where it is shown, and, at worst, which values nobody has.
    """
    value, *nets = np.indices((len(lesions), 2, 2)).reshape(3, -1)
    known = [np.ones(len(value)), *(net == 1 for net in nets)]
    known += [(nets[0] == a) & (nets[1] == b) for a in (0, 1) for b in (0, 1) if paired]
    known += [value == i for i in range(len(lesions)) if values[i] or not lesions[i]]
    for net, table in zip(nets, tables, strict=True):
        known += [(value == i) & (net == a) for i in range(len(lesions)) for a in (0, 1) if table[i, 0]]
    _, sizes, vectors = np.linalg.svd(np.array(known, float))
    basis = vectors[: int((sizes > 1e-9).sum())]
    found = []
    for i, place, answer in itertools.product(np.flatnonzero(lesions), (0, 1), (False, True)):
        question = ((value == i) & (nets[place] == answer)).astype(float)
        if np.linalg.norm(basis.T @ (basis @ question) - question) < 1e-6:
            found.append((int(i), place, answer))
    return found
