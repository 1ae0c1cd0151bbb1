"""Statistics of few lesions: what a minimum cell leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from toy_lesions import lesions

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL_NAMES
from client.worker.tasks.tally import tally_of

CIRRHOSIS, AGE = CLINICAL_NAMES.index("cirrhosis"), CLINICAL_NAMES.index("age")


def site(count: int = 12) -> list[Sample]:
    """Types HCC to HA in turn; two lesions of cirrhosis; age known of three; one positive CK7 among all tested."""
    samples = []
    for number, sample in enumerate(lesions(count)):
        clinical, markers = sample.clinical.copy(), sample.biomarkers.copy()
        clinical[CIRRHOSIS] = float(number < 2)
        clinical[AGE] = 60.0 if number < 3 else np.nan
        markers[2] = float(number == 0)
        samples.append(replace(sample, clinical=clinical, biomarkers=markers))
    return samples


def test_without_a_minimum_cell_everything_is_counted() -> None:
    assert all(torch.equal(a, b) for a, b in zip(tally_of(site()).values(), tally_of(site(), 1).values(), strict=True))
    assert tally_of(site())["types"].tolist() == [3, 3, 2, 2, 2, 0]


def test_counts_below_the_cell_are_left_out_with_their_sums() -> None:
    full, few = tally_of(site()), tally_of(site(), 3)
    assert few["types"].tolist() == [3, 3, 0, 0, 0, 0]
    assert full["biomarkers"][2].tolist() == [11, 1]
    assert few["biomarkers"][2].tolist() == [11, 0]
    assert few["clinical"][AGE].tolist() == full["clinical"][AGE].tolist() == [3, 180, 10800]
    assert tally_of(site(), 4)["clinical"][AGE].tolist() == [0, 0, 0]
    assert few["patients"] == full["patients"]
    assert few["levels"].tolist() == full["levels"].tolist()


def test_a_yes_or_no_that_few_give_is_left_out_on_either_side() -> None:
    full, few = tally_of(site()), tally_of(site(), 3)
    assert full["clinical"][CIRRHOSIS].tolist() == [12, 2, 2]
    assert few["clinical"][CIRRHOSIS].tolist() == [0, 0, 0]
    mirrored = [replace(s, clinical=np.where(np.arange(17) == CIRRHOSIS, 1 - s.clinical, s.clinical)) for s in site()]
    assert tally_of(mirrored, 3)["clinical"][CIRRHOSIS].tolist() == [0, 0, 0]
    assert tally_of(mirrored, 2)["clinical"][CIRRHOSIS].tolist() == [12, 10, 10]


def test_no_cell_of_a_cross_table_speaks_of_fewer() -> None:
    counts = tally_of(site(), 3)["clinical_by_type"][..., 0]
    assert bool(((counts == 0) | (counts >= 3)).all())
    assert bool((counts > 0).any())
