"""Convert laboratory values from the unit in a column's header to the taxonomy's unit, and guess wrong units."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping

from ceus_models.study.taxonomy import Variable
from client.data.table.cells import SEXES, YES_NO, RowCells
from client.data.words import strip_invisible

_HEADER = re.compile(r"^\s*(?P<name>[^(\[]*?)\s*(?:[(\[](?P<unit>.*)[)\]])?\s*$", re.DOTALL)


def split_header(text: str) -> tuple[str, str]:
    """Name and unit of a column, "" without a unit. Full-width characters are accepted.

    >>> split_header("ALB (g/L)"), split_header("age")
    (('ALB', 'g/L'), ('age', ''))
    """
    match = _HEADER.match(_plain(text))
    if match is None:
        return text.strip(), ""
    return match["name"], (match["unit"] or "").strip()


def find_factor(variable: Variable, unit: str) -> float | None:
    """The factor from `unit` to the variable's own unit; None for a unit that is not accepted.

    A header without a unit is accepted only where the variable has a single unit.
    """
    accepted = variable.list_units()
    if variable.kind == "binary" or (not unit and len(accepted) == 1):
        return 1.0
    folded = {normalize_unit(name): factor for name, factor in accepted.items()}
    return folded.get(normalize_unit(unit)) if unit else None


def guess_unit(variable: Variable, written: float, stated: float) -> str | None:
    """The accepted unit in which a written number would be plausible, or None: ALB 4.1 → "g/dL".

    stated: the factor of the unit that the header states; ALB 42 in g/dL → "g/L".
    """
    for unit, factor in variable.list_units().items():
        if factor != stated and variable.low <= written * factor <= variable.high:
            return unit
    return None


def convert_clinical(variable: Variable, row: RowCells, factors: Mapping[str, float]) -> float:
    """The value in the taxonomy's own unit; NaN for a blank, a fault, or a column that is not in `factors`."""
    if variable.kind == "binary":
        return row.parse_flag(variable.name, SEXES if variable.name == "sex" else YES_NO)
    factor = factors.get(variable.name)
    if factor is None:
        return math.nan
    written = row.parse_number(variable.name)
    value = written * factor
    if math.isnan(value) or variable.low <= value <= variable.high:
        return value
    meant = guess_unit(variable, written, factor)
    if meant:
        converted = f"{written * variable.list_units()[meant] / factor:.4g}"
        row.add_suggestion(variable.name, converted, f"it looks like {meant}")
    looks = f"; it looks like {meant}" if meant else ""
    convert = f"convert it from {meant}" if meant else "correct the value"
    remedy = f"{convert}, or correct the unit in the header"
    rule = f"{variable.name} is between {variable.low:g} and {variable.high:g} {variable.unit}"
    row.add_fault(variable.name, "implausible-value", rule, f"{value:.3g} {variable.unit}{looks}", remedy)
    return math.nan


def normalize_unit(unit: str) -> str:
    """One spelling for each unit.

    >>> normalize_unit("×10⁹/L"), normalize_unit("10^9 / l"), normalize_unit("x10*9/L")
    ('109/l', '109/l', '109/l')
    """
    text = re.sub(r"[\s^*·]", "", _plain(unit).casefold().replace("μ", "u").replace("µ", "u"))
    return re.sub(r"^[x×](?=10)", "", text)


def _plain(text: str) -> str:
    return strip_invisible(unicodedata.normalize("NFKC", text))
