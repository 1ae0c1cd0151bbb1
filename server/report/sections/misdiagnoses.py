"""The report's section on misdiagnoses: the pairs that the study counts, and the most frequent confusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.taxonomy import FUSION_NETS
from server.report import cells
from server.report.cells import Cell, Row
from server.report.reference_study import study_misdiagnosis
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, estimate, lookup, number, section

TITLES: Mapping[str, str] = {
    "hcc_hm_confusion": "HCC and HM taken for each other",
    "malignant_as_benign": "Malignant (HCC, HM, ICC) called benign (HH, HA)",
    "hm_ha_confusion": "HM and HA taken for each other",
}


def misdiagnoses(results: Results) -> dict[str, Any]:
    """What the full model gets wrong, over the external tests together and in each test set."""
    found = section(results, "misdiagnoses")
    places = list(dict.fromkeys(place for place in ("external_tests", *PLACE_TITLES) if section(found, place)))
    if not places:
        return {}
    net = next(net for net in reversed(FUSION_NETS) if section(found, places[0], net))
    return {
        "model": CLASSIFIER_TITLES[net],
        "places": [PLACE_TITLES[place] for place in places],
        "rows": [[TITLES[key], *(_cell(found, place, net, key) for place in places), _study(key)] for key in TITLES],
        "confusions": list(_confusions(found, places[0], net)),
    }


def _cell(found: Mapping[str, Any], place: str, net: str, key: str) -> Cell:
    raw = lookup(found, place, net, key)
    count, of, share = number(lookup(raw, "count")), number(lookup(raw, "of")), estimate(raw)
    if count is None or of is None:
        return cells.NONE
    return Cell(f"{count:.0f}/{of:.0f}", () if share is None else (f"{share.value:.3f}", *cells.format_interval(share)))


def _study(key: str) -> Cell:
    count, of = study_misdiagnosis(key)
    return Cell(f"{count}/{of}", (f"{count / of:.3f}",), "study")


def _confusions(found: Mapping[str, Any], place: str, net: str) -> Iterator[Row]:
    for one in lookup(found, place, net, "frequent") or []:
        count, of = number(lookup(one, "count")), number(lookup(one, "of"))
        if count and of:
            yield [
                str(lookup(one, "true")),
                str(lookup(one, "said")),
                f"{count:.0f} of {of:.0f} ({100 * count / of:.0f} %)",
            ]
