"""Statistics of few lesions: what a minimum cell leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from toy_lesions import lesions

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, LESION_TYPES
from client.worker.tasks.tally import tally_of

CELL = 5
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
    """Types of two lesions are left out, with all that they add anywhere: HCC and HM of three each are what is left."""
    few, shown = tally_of(site(), 3), [s for s in site() if s.label in ("HCC", "HM")]
    part = tally_of(shown)
    assert few["types"].tolist() == [3, 3, 0, 0, 0, 0]
    assert part["biomarkers"][2].tolist() == [5, 1]
    assert few["biomarkers"][2].tolist() == [0, 0], "one positive would follow from the total"
    for name in ("levels", "flow"):
        assert few[name].tolist() == part[name].tolist()
    assert few["clinical"][AGE].tolist() == [0, 0, 0], "the age of two of them is known"
    assert int(few["patients"]) == int(tally_of(site())["patients"]), "as in hello"
    assert not any(t.any() for name, t in tally_of(site(4), 3).items() if name != "patients")


def test_a_yes_or_no_that_few_give_is_left_out_on_either_side() -> None:
    own = [replace(s, label="HCC") for s in site()]
    full, few = tally_of(own), tally_of(own, 3)
    assert full["clinical"][CIRRHOSIS].tolist() == [12, 2, 2]
    assert few["clinical"][CIRRHOSIS].tolist() == [0, 0, 0]
    mirrored = [
        replace(s, clinical=np.where(np.arange(len(CLINICAL)) == CIRRHOSIS, 1 - s.clinical, s.clinical)) for s in own
    ]
    assert tally_of(mirrored, 3)["clinical"][CIRRHOSIS].tolist() == [0, 0, 0]
    assert tally_of(mirrored, 2)["clinical"][CIRRHOSIS].tolist() == [12, 10, 10]


def test_no_cell_of_a_cross_table_speaks_of_fewer_or_follows_from_its_total() -> None:
    """Random sites: of every variable the answers of each type, shown or left in the rest of its total."""
    rng = np.random.default_rng(0)
    shown = 0
    for _ in range(40):
        cases = [
            replace(
                s,
                label=LESION_TYPES[int(rng.choice(6, p=(0.4, 0.2, 0.1, 0.1, 0.1, 0.1)))],
                clinical=np.where(rng.random(len(CLINICAL)) < 0.2, np.nan, rng.integers(0, 2, len(CLINICAL))).astype(
                    np.float32
                ),
            )
            for s in lesions(int(rng.integers(20, 120)))
        ]
        few = tally_of(cases, CELL)
        total, by_type = few["clinical"].numpy(), few["clinical_by_type"].numpy()
        for place, variable in enumerate(CLINICAL):
            answers = [by_type[place, :, 1], by_type[place, :, 0] - by_type[place, :, 1]]
            whole = [total[place, 1], total[place, 0] - total[place, 1]]
            if variable.kind == "number":
                answers, whole = [by_type[place, :, 0]], [total[place, 0]]
            for counts, sum_ in zip(answers, whole, strict=True):
                assert ((counts == 0) | (counts >= CELL)).all()
                rest = sum_ - counts.sum()
                assert sum_ == 0 or rest == 0 or rest >= CELL
            shown += int((by_type[place, :, 0] > 0).sum())
    assert shown > 500


def test_an_attack_by_totals_finds_no_lone_lesion() -> None:
    """The one ICC of a site: every tally minus what is shown of the other types is zero or of at least a cell."""
    cases = [replace(s, label="HCC" if i < 14 else "HM") for i, s in enumerate(lesions(28))]
    cases.append(replace(lesions(29)[-1], label="ICC", clinical=np.full(len(CLINICAL), 77.0, np.float32)))
    open_, few = tally_of(cases, 1), tally_of(cases, CELL)
    lone = open_["clinical"][AGE, 1] - open_["clinical_by_type"][AGE, :2, 1].sum()
    assert float(lone) == 77.0, "what the sums of all say of one"
    assert few["types"].tolist() == [0, 14, 0, 0, 0, 0] or few["types"].tolist() == [14, 0, 0, 0, 0, 0]
    assert float(few["clinical"][AGE, 1]) == float(few["clinical_by_type"][AGE, :, 1].sum())
