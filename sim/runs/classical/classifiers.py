"""The classical classifiers: features, an estimator of scikit-learn, and the cohorts that it learns from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import LESION_TYPES, TEST_COHORTS
from sim.runs.classical.features import Floats, measure_curve, measure_zones, read_clinical

TREES = 500
_VALIDATION = ("validation",)
_SUBMODELS, _FUSION = ("training_a",), ("training_b",)
_IMAGES = {_VALIDATION: _SUBMODELS, TEST_COHORTS: (*_SUBMODELS, *_FUSION)}
"""As the nets: what answers validation knows training A alone, the fusion nets of the tests also B, which has OT."""


@dataclass(frozen=True)
class Classical:
    """A classical classifier.

    Args:
        measure: features (k) of a lesion, NaN where one is missing.
        build: the estimator for a seed.
        learns_from: cohorts it answers → cohorts it learns from.
    """

    measure: Callable[[Sample], Floats]
    build: Callable[[int], Pipeline]
    learns_from: Mapping[tuple[str, ...], tuple[str, ...]]

    def answer(
        self, learned: Sequence[Sample], asked: Mapping[str, Sequence[Sample]], seed: int
    ) -> Mapping[str, Floats]:
        """By name of `asked`, the probability (n 6) of each lesion type; 0 of types that none of `learned` has."""
        model = self.build(derive_seed(seed, "classical") % 2**32)
        model.fit(np.stack([self.measure(one) for one in learned]), [str(one.label) for one in learned])
        places = [LESION_TYPES.index(name) for name in model.classes_]
        found = {}
        for name, lesions in asked.items():
            found[name] = np.zeros((len(lesions), len(LESION_TYPES)))
            found[name][:, places] = model.predict_proba(np.stack([self.measure(one) for one in lesions]))
        return found


def build_regression(seed: int) -> Pipeline:
    """Multinomial logistic regression with L2 on standardised features; a missing one is the mean, with a sign."""
    return make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=10_000, random_state=seed),
    )


def build_trees(seed: int) -> Pipeline:
    """Extremely randomised trees (Geurts 2006, Mach Learn 63:3); a missing feature is the mean, with a sign."""
    return make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        ExtraTreesClassifier(n_estimators=TREES, random_state=seed),
    )


CLASSICAL: Mapping[str, Classical] = {
    "clinical": Classical(read_clinical, build_regression, {(*_VALIDATION, *TEST_COHORTS): _FUSION}),
    "curve": Classical(measure_curve, build_trees, _IMAGES),
    "zones": Classical(measure_zones, build_trees, _IMAGES),
}
"""The classifiers by name, in the order of tables."""
