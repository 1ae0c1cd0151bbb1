"""Radiologists compared with the models, as in the reference study's Table 2: alone, assisted, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.reader_study import ENTRIES, READERS, ROLES
from server.results import metrics
from server.results.intervals import number, share
from server.results.mcnemar import compared
from server.results.metrics import Floats

MODES = ("alone", "assisted")
_MACROS = ("specificity", "recall", "precision", "npv", "f1")


def readers_of(total: State, cohort: str, classifiers: Sequence[str]) -> dict[str, Any] | None:
    """Summarize the reads of a cohort; None without reads.

    Returns:
        `readers` by code, `roles` by role over all its readers. A reader has: role; alone and assisted (accuracy with
        interval, macro metrics, confusion); `assistance` (McNemar's test, alone against assisted, on lesions read both
        ways); `against` (McNemar's test, classifier against reader, by mode).
    """
    name = f"{cohort}|readers|"
    if f"{name}right" not in total:
        return None
    found = {entry: _modes(total, name, place) for place, entry in enumerate(ENTRIES)}
    readers = {}
    for place, (code, role) in enumerate(READERS.items()):
        if not found[code]:
            continue
        readers[code] = {"role": role, **found[code], "assistance": _tested(total[f"{name}assistance"][place].numpy())}
        readers[code]["against"] = {
            net: {mode: _tested(total[f"{name}model"][m, place, a].numpy()) for a, mode in enumerate(MODES)}
            for m, net in enumerate(classifiers)
        }
    return {"readers": readers, "roles": {role: found[role] for role in ROLES if found[role]}}


def _modes(total: State, name: str, entry: int) -> dict[str, Any]:
    found = {}
    for a, mode in enumerate(MODES):
        right = total[f"{name}right"].numpy()[:, entry, a]  # (1+R 2)
        confusion = total[f"{name}confusion"].numpy()[entry, a]
        if right[0, 0]:
            rows = metrics.per_class(confusion)
            macros = {f"macro_{metric}": _macro(rows[metric]) for metric in _MACROS}
            found[mode] = {"accuracy": share(right[:, 1], right[:, 0]), **macros, "confusion": confusion.tolist()}
    return found


def _macro(values: Floats) -> float | None:
    return number(float(metrics.macro(np.asarray(values))))


def _tested(pairs: metrics.Ints) -> dict[str, Any] | None:
    return compared(pairs) if pairs.sum() else None
