"""Radiologists compared with the models, as in the reference study's Table 2: alone, assisted, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.reader_study import ENTRIES, READ_PAIRS, READERS, ROLES
from server.results import metrics
from server.results.evaluation import estimate_accuracy
from server.results.intervals import finite_or_none
from server.results.mcnemar import mcnemar_test
from server.results.metrics import Floats
from server.results.pairs import compare_verdicts
from server.results.readers.effort import summarize_confidence, summarize_seconds, summarize_seconds_of_role
from server.results.readers.multi_reader import MODES, analyse_readers
from server.results.replicates import Resampling
from server.results.uncertainty.design_effect import repeat_answers
from server.results.uncertainty.multiple_testing import adjust_tests

_MACROS = ("specificity", "recall", "precision", "npv", "f1")


def summarize_readers(
    total: State, cohort: str, classifiers: Sequence[str], resampling: Resampling
) -> dict[str, Any] | None:
    """Summarize the reads of a cohort; None without reads.

    Returns:
        `readers` by code, `roles` by role over all its readers. A reader has: role; alone and assisted (accuracy with
        interval, macro metrics, confusion, `seconds`, `confidence`); `assistance` (McNemar's test, alone against
        assisted, on lesions read both ways); `seconds_ratio` of the two; `against` (McNemar's test, difference and
        equivalence, classifier against reader, by mode), all tests of the cohort with their p corrected for their
        number. The reads of a role are clustered: each lesion is read by several readers. `multi_reader`: see
        `analyse_readers`.
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
        both = total[f"{name}pairs"][READ_PAIRS.index(((place, 0), (place, 1)))].numpy()
        readers[code] = {"role": role, **modes, "assistance": _test_pairs(both)}
        readers[code]["against"] = {
            net: {mode: _oppose(total[f"{name}model"][m, place, a].numpy(), resampling) for a, mode in enumerate(MODES)}
            for m, net in enumerate(classifiers)
        }
        _add_effort(readers[code], total, (name, place), resampling)
    _adjust(readers)
    roles = {role: _modes(counts[_list_entries(role)], resampling) for role in ROLES}
    for role, modes in roles.items():
        _add_role_seconds(modes, total, name, role)
    multi_reader = analyse_readers(total, name, classifiers, resampling.design)
    adjust_tests([test for test in _list_multi_reader(multi_reader) if test["p"] is not None])
    shown = {role: modes for role, modes in roles.items() if modes}
    return {"readers": readers, "roles": shown, "multi_reader": multi_reader}


def _add_effort(reader: dict[str, Any], total: State, at: tuple[str, int], sampling: Resampling) -> None:
    """Seconds and confidence of a reader, where they are counted. at: prefix of the counts, and the reader's place."""
    name, place = at
    for a, mode in enumerate(MODES):
        found = {
            "seconds": summarize_seconds(total[f"{name}seconds"][place, a].numpy(), sampling.design),
            "confidence": summarize_confidence(
                total[f"{name}confidence"][place, a].numpy(), sampling, f"{name}confidence|{place}|{a}"
            ),
        }
        reader.get(mode, {}).update({key: entry for key, entry in found.items() if entry})
    ratio = summarize_seconds(total[f"{name}seconds_change"][place].numpy(), sampling.design)
    reader.update({"seconds_ratio": ratio} if ratio else {})


def _add_role_seconds(modes: dict[str, Any], total: State, name: str, role: str) -> None:
    places = [place for place, own in enumerate(READERS.values()) if own == role]
    for a, mode in enumerate(MODES):
        if mode in modes and (seconds := summarize_seconds_of_role(total[f"{name}seconds"][places, a].numpy())):
            modes[mode]["seconds"] = seconds
    if modes and (ratio := summarize_seconds_of_role(total[f"{name}seconds_change"][places].numpy())):
        modes["seconds_ratio"] = ratio


def _list_multi_reader(found: dict[str, Any]) -> list[dict[str, Any]]:
    tests = [entry["assistance"] for entry in found.values() if "assistance" in entry]
    return tests + [
        test for entry in found.values() for modes in entry.get("against", {}).values() for test in modes.values()
    ]


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


def _oppose(pairs: metrics.Ints, sampling: Resampling) -> dict[str, Any] | None:
    tested = _test_pairs(pairs)
    return tested and tested | compare_verdicts(pairs.astype(np.float64), sampling)
