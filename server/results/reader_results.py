"""Radiologists compared with the models, as in the reference study's Table 2: alone, assisted, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.reader_study import ENTRIES, READERS, ROLES
from server.results import metrics
from server.results.intervals import bootstrap_interval, finite_or_none, round_count
from server.results.mcnemar import mcnemar_test
from server.results.metrics import Floats
from server.results.replicates import Resampling

MODES = ("alone", "assisted")
_MACROS = ("specificity", "recall", "precision", "npv", "f1")


def summarize_readers(
    total: State, cohort: str, classifiers: Sequence[str], resampling: Resampling
) -> dict[str, Any] | None:
    """Summarize the reads of a cohort; None without reads.

    Returns:
        `readers` by code, `roles` by role over all its readers. A reader has: role; alone and assisted (accuracy with
        interval, macro metrics, confusion); `assistance` (McNemar's test, alone against assisted, on lesions read both
        ways); `against` (McNemar's test, classifier against reader, by mode). The interval of a role takes its reads as
        independent.
    """
    name = f"{cohort}|readers|"
    if f"{name}confusion" not in total:
        return None
    counts = resampling.read(total, f"{name}confusion")  # (1+R entries 2 6 6)
    readers = {}
    for place, (code, role) in enumerate(READERS.items()):
        modes = _modes(counts[:, place])
        if not modes:
            continue
        readers[code] = {"role": role, **modes, "assistance": _test_pairs(total[f"{name}assistance"][place].numpy())}
        readers[code]["against"] = {
            net: {mode: _test_pairs(total[f"{name}model"][m, place, a].numpy()) for a, mode in enumerate(MODES)}
            for m, net in enumerate(classifiers)
        }
    roles = {role: _modes(counts[:, _list_entries(role)].sum(1)) for role in ROLES}
    return {"readers": readers, "roles": {role: modes for role, modes in roles.items() if modes}}


def _list_entries(role: str) -> list[int]:
    """The places of a role's readers, those without a code included."""
    return [place for place, entry in enumerate(ENTRIES) if READERS.get(entry, entry) == role]


def _modes(counts: Floats) -> dict[str, Any]:
    """counts (1+R 2 6 6) of one entry or role."""
    found = {}
    for a, mode in enumerate(MODES):
        confusion = counts[:, a]
        if confusion[0].sum() > 0:
            rows = metrics.per_class(confusion[0])
            found[mode] = {
                "accuracy": bootstrap_interval(metrics.accuracy(confusion), round_count(confusion[0].sum())),
                **{f"macro_{metric}": _macro(rows[metric]) for metric in _MACROS},
                "confusion": confusion[0].astype(int).tolist(),
            }
    return found


def _macro(values: Floats) -> float | None:
    return finite_or_none(float(metrics.macro(np.asarray(values))))


def _test_pairs(pairs: metrics.Ints) -> dict[str, Any] | None:
    return mcnemar_test(pairs) if pairs.sum() else None
