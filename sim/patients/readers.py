"""The diagnoses of the reader study in `reads.csv`, for external test C.

Readers have the study's accuracies, without and with the model (Ding et al., J Hepatol 2025;83:426-439). Some types are
harder, and a hard lesion is hard for all readers. "With the model" means the study's accuracy, whatever model the run
trains: no model exists when the diagnoses are drawn.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ceus_models.runtime.atomic_files import PUBLIC, replace_file
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.reader_study import CONFIDENCE, READERS
from ceus_models.study.taxonomy import LESION_TYPES
from server.report.reference_study import READER_ACCURACY
from sim.patients.patients import Case
from sim.patients.study_table import TABLE1

READS_FILE = "reads.csv"
COHORT = "external_test_c"
_HARD: Mapping[str, float] = {"HCC": 0.8, "HM": 0.95, "ICC": 1.6, "HH": 0.7, "HA": 1.2, "OT": 1.6}
"""Relative share of errors by type [domain knowledge]: ICC and the rare entities are missed most."""
_SHARED, _OWN = 0.4, 0.4
"""Shares of the variance of errors that are due to the lesion, and to the reader with and without assistance; the rest
is random at each reading."""
# The wrong diagnoses of each type, as shares in the order of LESION_TYPES [domain knowledge].
_TAKEN_FOR: Mapping[str, tuple[float, ...]] = {
    "HCC": (0, 0.45, 0.25, 0.08, 0.05, 0.17),
    "HM": (0.45, 0, 0.25, 0.08, 0.15, 0.07),
    "ICC": (0.45, 0.40, 0, 0.02, 0.10, 0.03),
    "HH": (0.35, 0.25, 0.05, 0, 0.10, 0.25),
    "HA": (0.15, 0.40, 0.25, 0.05, 0, 0.15),
    "OT": (0.50, 0.15, 0.10, 0.20, 0.05, 0),
}
# How sure and how fast readers are [domain knowledge]; the study tells neither.
_CALIBRATION, _SURE_FROM = 0.8, (-1.0, -0.2, 0.6, 1.5)
"""Confidence rises with the margin to being wrong, in standard deviations, plus noise; above each limit by one."""
_SECONDS: Mapping[str, float] = {"junior": 75.0, "senior": 50.0, "mri": 90.0}
_ASSISTED_TIME, _TIME_SPREAD, _TIME_SLOPE = 0.85, 0.35, 0.1
_NORMAL = NormalDist()


def write_reads(folder: Path, cases: Sequence[Case], seed: int) -> bool:
    """Write `reads.csv` of a hospital with lesions of external test C, unless it exists; whether it was written."""
    path = folder / READS_FILE
    read = [case for case in cases if case.cohort == COHORT]
    if path.exists() or not read:
        return False
    with replace_file(path, PUBLIC) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        header = ("lesion_id", "reader", "role", "assisted", "diagnosis", "seconds (s)", "confidence")
        file.write(format_csv([header, *(row for case in read for row in _iterate_rows(case, seed))]))
    return True


def _iterate_rows(case: Case, seed: int) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    for reader, role in READERS.items():
        for assisted, accuracy in zip(("no", "yes"), READER_ACCURACY[reader], strict=True):
            if accuracy is not None:
                said, sure, seconds = draw_reading(case, reader, assisted == "yes", seed)
                yield case.lesion_id, reader, role, assisted, said, f"{seconds:.1f}", str(sure)


class DrawnReading(NamedTuple):
    """diagnosis: a lesion type · confidence: of `reader_study.CONFIDENCE` · seconds: that the reading took."""

    diagnosis: str
    confidence: int
    seconds: float


def draw_reading(case: Case, reader: str, assisted: bool, seed: int) -> DrawnReading:
    """Draw what a reader says of a lesion; it does not depend on other readers.

    Who is nearly wrong is less sure and slower.
    """
    accuracy = READER_ACCURACY[reader][int(assisted)]
    if accuracy is None:
        raise ValueError(f"expected a reader with the model, {reader} reads without it")
    place = (case.center, case.lesion_id)
    lesion = np.random.default_rng(derive_seed(seed, "readers", *place)).standard_normal()
    view = np.random.default_rng(derive_seed(seed, "readers", *place, reader)).standard_normal()
    chance = np.random.default_rng(derive_seed(seed, "readers", *place, reader, int(assisted)))
    latent = _SHARED**0.5 * lesion + _OWN**0.5 * view + (1 - _SHARED - _OWN) ** 0.5 * chance.standard_normal()
    margin = _NORMAL.inv_cdf(1 - _compute_error_share(accuracy, case.fll_type)) - latent
    said = case.fll_type
    if margin <= 0:
        said = LESION_TYPES[int(chance.choice(len(LESION_TYPES), p=_TAKEN_FOR[case.fll_type]))]
    sure, slow = chance.standard_normal(2)
    level = bisect(_SURE_FROM, _CALIBRATION * margin + float(sure))
    typical = _SECONDS[READERS[reader]] * (_ASSISTED_TIME if assisted else 1.0)
    seconds = typical * math.exp(_TIME_SPREAD * float(slow) - _TIME_SLOPE * margin)
    return DrawnReading(said, CONFIDENCE[level], seconds)


def _compute_error_share(accuracy: float, kind: str) -> float:
    """Error rate of a type, so that the study's mix of types gives the reader's accuracy."""
    mix = TABLE1[COHORT]["fll_type"]
    mean = sum(mix[name] * _HARD[name] for name in LESION_TYPES) / sum(mix.values())
    return (1 - accuracy) * _HARD[kind] / mean
