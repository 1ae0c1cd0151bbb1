"""Misdiagnoses of a model: those that the reference study counts, and the most frequent confusions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import LESION_TYPES, MALIGNANT_TYPES
from server.results.clinical.dichotomy import BENIGN_TYPES
from server.results.intervals import estimate_share, round_count
from server.results.replicates import Resampling

_MOST = 8
# name → cells (true type, predicted type) that count, and the true types of the denominator
COUNTED: Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "hcc_hm_confusion": ((("HCC", "HM"), ("HM", "HCC")), ("HCC", "HM")),
    "malignant_as_benign": (tuple((t, s) for t in MALIGNANT_TYPES for s in BENIGN_TYPES), MALIGNANT_TYPES),
    "hm_ha_confusion": ((("HM", "HA"), ("HA", "HM")), ("HM", "HA")),
}
"""As in the reference study: OT is neither malignant nor benign."""


def count_misdiagnoses(total: State, cohort: str, net: str, resampling: Resampling) -> dict[str, Any] | None:
    """Each of COUNTED as {count, of, value, low, high, n}, and `frequent`: the most common confusions of two types."""
    name = f"{cohort}|{net}|confusion"
    if name not in total:
        return None
    confusion = total[name].numpy()  # (6 6)
    place = {kind: i for i, kind in enumerate(LESION_TYPES)}
    found: dict[str, Any] = {}
    for key, (wrong, among) in COUNTED.items():
        counted = float(sum(confusion[place[true], place[said]] for true, said in wrong))
        of = float(confusion[[place[kind] for kind in among]].sum())
        share = estimate_share(counted, of, resampling, (len(wrong), len(among) * len(LESION_TYPES)))
        found[key] = {"count": round_count(counted), "of": round_count(of), **share}
    off = [(round_count(n), i, j) for (i, j), n in np.ndenumerate(confusion) if i != j and round_count(n)]
    found["frequent"] = [
        {"true": LESION_TYPES[i], "said": LESION_TYPES[j], "count": n, "of": round_count(confusion[i].sum())}
        for n, i, j in sorted(off, key=lambda cell: (-cell[0], cell[1], cell[2]))[:_MOST]
    ]
    return found
