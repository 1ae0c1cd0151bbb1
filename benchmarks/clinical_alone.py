"""What clinical variables say alone, and how many of them are selected, in phantom studies of the paper's size.

`python -m benchmarks.clinical_alone [--seeds 10] [--cell 1]`: no picture is drawn. Each center tallies its lesions of
training A; the recipe selects and standardises; a logistic regression (scikit-learn, C = 1) is fitted to training B in
the fusion net's own clinical inputs. `--cell`: the sites' smallest count.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import reduce

import numpy as np
from sklearn.linear_model import LogisticRegression

from ceus_models.nets.fusion import build_fusion_inputs
from ceus_models.plan.recipe import RecipeRule, compute_recipe
from ceus_models.protocol.messages import Architecture, Recipe
from ceus_models.protocol.state import add, add_prefix
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, COHORTS, DISEASE_TYPES, SUBMODELS, TEST_COHORTS
from client.worker.tasks.tally import tally_of
from sim.patients.centers import build_split
from sim.patients.patients import Case, draw_cases

FITTED = "training_b"


def make_sample(case: Case) -> Sample:
    """A lesion with black pictures."""
    values = [(variable, case.clinical[variable.name]) for variable in CLINICAL]
    return Sample(
        key=case.lesion_id,
        patient=case.patient_id,
        cohort=case.cohort,
        frames=np.zeros((1, 1, 1), np.uint8),
        flow=np.zeros((1, 2, 1, 1), np.int8),
        flow_scale=1.0,
        curve=np.zeros(1, np.float32),
        clinical=np.array([np.nan if x is None else v.apply_transform(x) for v, x in values], np.float32),
        biomarkers=np.full(4, np.nan, np.float32),
        label=case.fll_type,
    )


def derive_recipe(cases: Sequence[Case], cell: int) -> Recipe:
    """The recipe of the centers' tallies of training A."""
    rule = RecipeRule()
    tallies = []
    for center in sorted({case.center for case in cases if case.cohort in rule.cohorts}):
        held = [make_sample(case) for case in cases if case.center == center and case.cohort in rule.cohorts]
        tallies.append(add_prefix(tally_of(held, cell, figures=False), f"{rule.cohorts[0]}|"))
    return compute_recipe(reduce(add, tallies), rule, Architecture(), 0)


def encode_clinical(samples: Sequence[Sample], recipe: Recipe) -> np.ndarray:
    """The clinical inputs (n 2·selected) of the fusion net."""
    even = np.full((len(samples), len(SUBMODELS)), 0.5, np.float32)
    return build_fusion_inputs("fusion/DC", even, samples, recipe).numpy()[:, len(DISEASE_TYPES) :]


def main() -> None:
    """Prints a line a seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cell", type=int, default=1)
    asked = parser.parse_args()
    asked_cohorts = [name for name in COHORTS if name in ("validation", *TEST_COHORTS)]
    split, found, omitted = build_split("paper"), [], Counter[str]()
    print(f"seed, selected of {len(CLINICAL)}, accuracy in {', '.join(asked_cohorts)}, all test lesions")
    for seed in range(1, asked.seeds + 1):
        cases = draw_cases(split, seed)
        recipe = derive_recipe(cases, asked.cell)
        omitted.update(set(CLINICAL_NAMES) - set(recipe.selected))
        samples = {name: [make_sample(case) for case in cases if case.cohort == name] for name in COHORTS}
        features = {name: encode_clinical(held, recipe) for name, held in samples.items()}
        labels = {name: [str(sample.label) for sample in held] for name, held in samples.items()}
        model = LogisticRegression(max_iter=5000).fit(features[FITTED], labels[FITTED])
        scores = [model.score(features[name], labels[name]) for name in asked_cohorts]
        lesions = [len(labels[name]) for name in asked_cohorts]
        found.append([len(recipe.selected), *scores, float(np.average(scores[1:], weights=lesions[1:]))])
        print(seed, *[f"{value:.3f}" if value < 1 else f"{value:.0f}" for value in found[-1]])
    print("mean", *[f"{value:.3f}" for value in np.mean(found, axis=0)])
    print("not selected:", ", ".join(f"{name} {count} times" for name, count in omitted.most_common()))


if __name__ == "__main__":
    main()
