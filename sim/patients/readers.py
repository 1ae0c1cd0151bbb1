"""The diagnoses of the reader study in `reads.csv`, for external test C.

Readers have the study's accuracies, without and with the model (Ding et al., J Hepatol 2025;83:426-439). Some types are
harder, and a hard lesion is hard for all readers. "With the model" means the study's accuracy, whatever model the run
trains: no model exists when the diagnoses are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

from ceus_models.runtime.atomic_files import PUBLIC, replace_file
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.reader_study import READERS
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
_NORMAL = NormalDist()


def write_reads(folder: Path, cases: Sequence[Case], seed: int) -> bool:
    """Write `reads.csv` of a hospital with lesions of external test C, unless it exists; whether it was written."""
    path = folder / READS_FILE
    read = [case for case in cases if case.cohort == COHORT]
    if path.exists() or not read:
        return False
    with replace_file(path, PUBLIC) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        header = ("lesion_id", "reader", "role", "assisted", "diagnosis")
        file.write(format_csv([header, *(row for case in read for row in _iterate_rows(case, seed))]))
    return True


def _iterate_rows(case: Case, seed: int) -> Iterator[tuple[str, str, str, str, str]]:
    for reader, role in READERS.items():
        for assisted, accuracy in zip(("no", "yes"), READER_ACCURACY[reader], strict=True):
            if accuracy is not None:
                yield case.lesion_id, reader, role, assisted, draw_diagnosis(case, reader, assisted == "yes", seed)


def draw_diagnosis(case: Case, reader: str, assisted: bool, seed: int) -> str:
    """Draw a reader's diagnosis of a lesion; it does not depend on other readers."""
    accuracy = READER_ACCURACY[reader][int(assisted)]
    if accuracy is None:
        raise ValueError(f"expected a reader with the model, {reader} reads without it")
    place = (case.center, case.lesion_id)
    lesion = np.random.default_rng(derive_seed(seed, "readers", *place)).standard_normal()
    view = np.random.default_rng(derive_seed(seed, "readers", *place, reader)).standard_normal()
    chance = np.random.default_rng(derive_seed(seed, "readers", *place, reader, int(assisted)))
    latent = _SHARED**0.5 * lesion + _OWN**0.5 * view + (1 - _SHARED - _OWN) ** 0.5 * chance.standard_normal()
    if _NORMAL.cdf(latent) < 1 - _compute_error_share(accuracy, case.fll_type):
        return case.fll_type
    return LESION_TYPES[int(chance.choice(len(LESION_TYPES), p=_TAKEN_FOR[case.fll_type]))]


def _compute_error_share(accuracy: float, kind: str) -> float:
    """Error rate of a type, so that the study's mix of types gives the reader's accuracy."""
    mix = TABLE1[COHORT]["fll_type"]
    mean = sum(mix[name] * _HARD[name] for name in LESION_TYPES) / sum(mix.values())
    return (1 - accuracy) * _HARD[kind] / mean
