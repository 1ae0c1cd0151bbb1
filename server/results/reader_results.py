"""Radiologists compared with the models, as in the reference study's Table 2: alone, assisted, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.reader_study import ENTRIES, READERS, ROLES
from server.results import metrics
from server.results.evaluation import estimate_accuracy
from server.results.intervals import finite_or_none
from server.results.mcnemar import mcnemar_test
from server.results.metrics import Floats
from server.results.replicates import Resampling
from server.results.uncertainty.design_effect import repeat_answers
from server.results.uncertainty.multiple_testing import adjust_tests

MODES = ("alone", "assisted")
_MACROS = ("specificity", "recall", "precision", "npv", "f1")


def summarize_readers(
    total: State, cohort: str, classifiers: Sequence[str], resampling: Resampling
) -> dict[str, Any] | None:
    """Summarize the reads of a cohort; None without reads.

    Returns:
        `readers` by code, `roles` by role over all its readers. A reader has: role; alone and assisted (accuracy with
        interval, macro metrics, confusion); `assistance` (McNemar's test, alone against assisted, on lesions read both
        ways); `against` (McNemar's test, classifier against reader, by mode), all tests of the cohort with their p
        corrected for their number. The reads of a role are clustered: each lesion is read by several readers.
    """
    name = f"{cohort}|readers|"
    if f"{name}confusion" not in total:
        return None
    counts = total[f"{name}confusion"].numpy()  # (entries 2 6 6)
    readers: dict[str, Any] = {}
    for place, (code, role) in enumerate(READERS.items()):
        modes = _modes(counts[place][None], resampling)
        if not modes:
            continue
        readers[code] = {"role": role, **modes, "assistance": _test_pairs(total[f"{name}assistance"][place].numpy())}
        readers[code]["against"] = {
            net: {mode: _test_pairs(total[f"{name}model"][m, place, a].numpy()) for a, mode in enumerate(MODES)}
            for m, net in enumerate(classifiers)
        }
    _adjust(readers)
    roles = {role: _modes(counts[_list_entries(role)], resampling) for role in ROLES}
    return {"readers": readers, "roles": {role: modes for role, modes in roles.items() if modes}}


def _list_entries(role: str) -> list[int]:
    """The places of a role's readers, those without a code included."""
    return [place for place, entry in enumerate(ENTRIES) if READERS.get(entry, entry) == role]


def _adjust(readers: dict[str, Any]) -> None:
    """Correct the p values of a cohort's readers for their number."""
    tests = [one["assistance"] for one in readers.values()]
    tests += [test for one in readers.values() for modes in one["against"].values() for test in modes.values()]
    adjust_tests([test for test in tests if test is not None])


def _modes(counts: metrics.Ints, sampling: Resampling) -> dict[str, Any]:
    """Accuracy and more by mode, of counts (entries 2 6 6): of one reader, or of all readers of a role."""
    found = {}
    for a, mode in enumerate(MODES):
        reads = counts[:, a].sum((1, 2))
        if reads.sum() > 0:
            confusion = counts[:, a].sum(0).astype(np.float64)
            # at least as many lesions were read as the busiest reader read
            clustered = replace(sampling, design=repeat_answers(sampling.design, float(reads.sum() / reads.max())))
            rows = metrics.per_class(confusion)
            found[mode] = {
                "accuracy": estimate_accuracy(confusion, clustered),
                **{f"macro_{metric}": _macro(rows[metric]) for metric in _MACROS},
                "confusion": confusion.astype(int).tolist(),
            }
    return found


def _macro(values: Floats) -> float | None:
    return finite_or_none(float(metrics.macro(np.asarray(values))))


def _test_pairs(pairs: metrics.Ints) -> dict[str, Any] | None:
    return mcnemar_test(pairs) if pairs.sum() else None
