"""The report's section on misdiagnoses: the pairs that the study counts, and the most frequent confusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ceus_models.study.taxonomy import FUSION_NETS
from server.report import cells
from server.report import csv_tables as numbers
from server.report.html import Cell, Html, paragraph, section, table
from server.report.reference_study import study_misdiagnosis
from server.report.values import CLASSIFIER_TITLES, PLACE_TITLES, Results, at, estimate, number
from server.report.values import section as part

TITLES: Mapping[str, str] = {
    "hcc_hm_confusion": "HCC and HM taken for each other",
    "malignant_as_benign": "Malignant (HCC, HM, ICC) called benign (HH, HA)",
    "hm_ha_confusion": "HM and HA taken for each other",
}


def misdiagnoses(results: Results) -> Html:
    """What the full model gets wrong, over the external tests together and in each test set."""
    found = part(results, "misdiagnoses")
    places = [place for place in ("external_tests", *PLACE_TITLES) if part(found, place)]
    places = list(dict.fromkeys(places))
    if not places:
        return Html("")
    net = next(net for net in reversed(FUSION_NETS) if part(found, places[0], net))
    head = ["", *(PLACE_TITLES[place] for place in places), "Study, external tests"]
    rows = [_row(results, key, places, net) for key in TITLES]
    caption = f"{CLASSIFIER_TITLES[net]}: wrong among the lesions of these types"
    parts = [table(head, rows, caption, "wrapped"), _frequent(results, places[0], net)]
    note = paragraph("OT counts as neither malignant nor benign, as in the study.", "note")
    return section("misdiagnoses", "Misdiagnoses", [*parts, note, numbers.download(results, "misdiagnoses")])


def _row(results: Results, key: str, places: list[str], net: str) -> list[Cell]:
    return [TITLES[key], *(_cell(results, place, net, key) for place in places), _study(key)]


def _cell(results: Results, place: str, net: str, key: str) -> Html:
    raw = at(results, "misdiagnoses", place, net, key)
    count, of, found = number(at(raw, "count")), number(at(raw, "of")), estimate(raw)
    if count is None or of is None:
        return Html(f"<td>{cells.DASH}</td>")
    inside = f"{count:.0f}/{of:.0f}"
    if found is not None:
        below = cells.interval(found)
        inside += f"<small>{found.value:.3f}</small>{f'<small>{below}</small>' if below else ''}"
    return Html(f"<td>{inside}</td>")


def _study(key: str) -> Html:
    count, of = study_misdiagnosis(key)
    return Html(f'<td class="study">{count}/{of}<small>{count / of:.3f}</small></td>')


def _frequent(results: Results, place: str, net: str) -> Html:
    rows = list(_confusions(results, place, net))
    head = ["True type", "Called", "Lesions", "Of the type's"]
    return table(head, rows, f"Most frequent confusions: {PLACE_TITLES[place]}") if rows else Html("")


def _confusions(results: Results, place: str, net: str) -> Iterator[list[Cell]]:
    for one in at(results, "misdiagnoses", place, net, "frequent") or []:
        count, of = number(at(one, "count")), number(at(one, "of"))
        if count and of:
            yield [str(at(one, "true")), str(at(one, "said")), f"{count:.0f}", f"{of:.0f} ({100 * count / of:.0f} %)"]
