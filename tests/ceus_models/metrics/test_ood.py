"""Training statistics from sums, and what lies far from them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from toy_lesions import lesion, lesions

from ceus_models.metrics.ood import (
    FIGURES,
    MIN_LESIONS,
    compute_figures,
    compute_training_figures,
    find_unusual_figures,
    sum_figures,
)
from ceus_models.protocol.sums import ExactSum
from ceus_models.study.sample import Sample
from client.worker.tasks.counts.population import select_population
from client.worker.tasks.tally import tally_of


def cases(count: int = 40) -> list[Sample]:
    rng = np.random.default_rng(4)
    return [
        dataclasses.replace(s, quality={"PE_dB": float(rng.normal(30, 4)), "TTP": float(rng.uniform(4, 9))})
        for s in lesions(count)
    ]


def test_figures_by_hand() -> None:
    frames = np.stack([np.full((4, 4), level, np.uint8) for level in (0, 51, 102)])
    flow = np.stack([np.full((2, 4, 4), 3, np.int8)])
    sample = dataclasses.replace(
        lesion(1), frames=frames, flow=flow, flow_scale=0.5, quality={"PE_dB": 12.0, "TTP": 2.0}
    )
    found = dict(zip(FIGURES, compute_figures(sample).tolist(), strict=True))
    assert found["level_mean"] == pytest.approx(0.2)
    assert found["level_sd"] == pytest.approx(0.2 * math.sqrt(2 / 3))
    assert found["level_first"] == pytest.approx(math.log(0.004))  # the floor: a black frame has no logarithm
    assert found["level_last"] == pytest.approx(0.4)
    assert found["change"] == pytest.approx(math.log(0.2))
    assert found["flow"] == pytest.approx(math.log(1.5))
    assert (found["PE_dB"], found["TTP"]) == (12.0, pytest.approx(math.log(2)))
    assert math.isnan(found["RT"])


def test_sums_over_sites_give_the_pooled_moments() -> None:
    pooled = cases()
    total = ExactSum()
    for site in (pooled[:25], pooled[25:32], pooled[32:]):
        total.add({"figures": tally_of(site)["figures"]})
    typical = compute_training_figures(total.take_float64()["figures"].numpy(), len(pooled))
    values = np.stack([compute_figures(s) for s in pooled])
    for place, name in enumerate(FIGURES):
        if name in ("RT", "mTT"):
            assert name not in typical.figures
            continue
        found = typical.figures[name]
        assert found.lesions == 40
        assert found.mean == pytest.approx(values[:, place].mean(), abs=1e-5)
        assert found.sd == pytest.approx(max(values[:, place].std(), 1e-3), rel=1e-3)


def test_few_lesions_are_left_out_of_the_sums() -> None:
    some = cases(4) + lesions(36, first=4)
    place = list(FIGURES).index("TTP")
    assert sum_figures(some, 4)[place, 0] == 4
    assert sum_figures(some, 5)[place].tolist() == [0, 0, 0]
    assert torch.equal(tally_of(some, 5)["figures"], torch.from_numpy(sum_figures(select_population(some, 5), 5)))
    assert "figures" not in tally_of(some, 5, figures=False)


def test_what_lies_far_is_told_the_farthest_first() -> None:
    pooled = cases()
    typical = compute_training_figures(sum_figures(pooled, 1), len(pooled))
    assert not any(find_unusual_figures(sample, typical) for sample in pooled)
    odd = dataclasses.replace(pooled[0], frames=pooled[0].frames // 3, quality={"PE_dB": 3.0})
    found = find_unusual_figures(odd, typical)
    names = [one.figure for one in found]
    assert names[0] == "TTP"  # nearly all training lesions show it, this one does not
    assert {"PE_dB", "level_mean", "level_sd"} <= set(names)
    assert [abs(one.z) for one in found[1:]] == sorted((abs(one.z) for one in found[1:]), reverse=True)
    assert "not found" in str(found[0])
    assert "SD below" in next(str(one) for one in found if one.figure == "PE_dB")
    assert all(one.is_out for one in found if one.figure in ("TTP", "level_sd"))


def test_statistics_of_few_lesions_warn_of_nothing() -> None:
    few = cases(MIN_LESIONS - 1)
    assert compute_training_figures(sum_figures(few, 1), len(few)).figures == {}
