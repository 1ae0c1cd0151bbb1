"""The subgroups of results and the rows of the study's Table 1, as one fixed list of cells.

The list is fixed so that counts have the same shape at every site. A value outside the list counts as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL_NAMES

MANUFACTURERS = ("GE", "Philips", "Siemens", "Canon", "Mindray", "Hitachi", "Samsung", "Esaote", "SuperSonic")
UNKNOWN = "unknown"
_NO_YES = ("no", "yes", UNKNOWN)
SUBGROUPS: Mapping[str, tuple[str, ...]] = {
    "sex": ("male", "female", UNKNOWN),
    "age": ("<50", "50-60", ">60", UNKNOWN),
    "tumor_size": ("<3", "3-5", "5-10", ">10", UNKNOWN),
    "etiology": _NO_YES,
    "cirrhosis": _NO_YES,
    "fatty_liver": _NO_YES,
    "manufacturer": (*MANUFACTURERS, "other", UNKNOWN),
    "pathology_confirmed": _NO_YES,
    "malignancy_history": _NO_YES,
}
"""Variable → its values: years, cm, viral hepatitis for the etiology. The last is a row of Table 1 only."""
VARIABLE_TITLES: Mapping[str, str] = {
    "sex": "Sex",
    "age": "Age, years",
    "tumor_size": "Tumour size, cm",
    "etiology": "Viral hepatitis",
    "cirrhosis": "Cirrhosis",
    "fatty_liver": "Fatty liver",
    "manufacturer": "Manufacturer",
    "pathology_confirmed": "Confirmed by pathology",
    "malignancy_history": "History of malignancy",
}
CELLS = tuple((variable, value) for variable, values in SUBGROUPS.items() for value in values)
"""Every (variable, value), in the order in which they are counted."""
_HISTORY = CLINICAL_NAMES.index("malignancy_history")
_PLACES = {cell: place for place, cell in enumerate(CELLS)}


def build_slices() -> Mapping[str, slice]:
    """The slice of CELLS of each variable."""
    end, slices = 0, {}
    for variable, values in SUBGROUPS.items():
        slices[variable] = slice(end, end + len(values))
        end += len(values)
    return slices


def list_cells(sample: Sample) -> tuple[int, ...]:
    """The indices in CELLS of one lesion, one a variable."""
    history = float(sample.clinical[_HISTORY])
    values = {**sample.groups, "malignancy_history": {0.0: "no", 1.0: "yes"}.get(history, UNKNOWN)}
    return tuple(
        _PLACES.get((variable, values.get(variable, UNKNOWN)), _PLACES[variable, UNKNOWN]) for variable in SUBGROUPS
    )
