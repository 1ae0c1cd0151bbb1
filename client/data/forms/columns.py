"""The forms that a hospital fills: every column of `lesions.csv` and `reads.csv` with what it means, in one place.

SCHEMA is the version of these forms and of `site.yaml`. It rises when a column changes its name, its unit or what may
stand in it, so that an old folder is told apart from a wrong one; a new optional column leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.study.reader_study import CONFIDENCE, READERS, ROLES
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, Variable

SCHEMA = 1
EXAMPLE_ID = "EXAMPLE"
"""The id of the example row that `ceus-site init` writes. A row with it is never taken as a patient."""
YES_NO_WORDS = ("yes", "no", "1", "0")
TESTED_WORDS = ("1", "0")
SEX_WORDS = ("male", "female", "m", "f")
SURE_WORDS = tuple(map(str, CONFIDENCE))
PANE_WORDS = ("contrast", "bmode", "screen")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: Its name in the header.
        meaning: Its meaning, for a person.
        allowed: The words of a closed list, empty where anything of the meaning's kind may stand.
        unit: The default unit in the header, in parentheses there; "" for none.
        example: An example of a cell.
        optional: Whether the header may omit it.
    """

    name: str
    meaning: str
    example: str
    allowed: tuple[str, ...] = ()
    unit: str = ""
    optional: bool = False

    @property
    def header(self) -> str:
        """The name with its unit: "ALB (g/L)"."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


_EXAM = (
    Column("lesion_id", "the hospital's own id of the lesion, once in the table; it stays in the hospital", EXAMPLE_ID),
    Column("patient_id", "the hospital's own id of the patient, spelt alike in every row; it stays", EXAMPLE_ID),
    Column("exam_date", "day of the CEUS examination; YYYY-MM-DD is safest", "2021-03-07"),
    Column("fll_type", "type of the lesion, blank where it is not known", "HCC", LESION_TYPES),
    Column("manufacturer", "maker of the scanner", "Philips"),
    Column("clips", "the lesion's clips in the order of the exam, joined by ;", "clips/0001a.dcm;clips/0001b.dcm"),
    Column(
        "clip_start_s",
        "seconds after injection at which each clip begins, joined by ;. Blank for a single clip whose start is not "
        "known: the first enhancement is then taken as the injection",
        "0;95.5",
    ),
    Column("frame_rate_hz", "frames a second of the examination, where the files do not state it (AVI, MP4)", "12"),
    Column("outline", "the file with the outline of the lesion on one frame of the first clip", "outlines/0001.json"),
    Column(
        "outline_frame", "the outlined frame of the first clip, counted from 0; blank where its file says it", "143"
    ),
    Column("outline_pane", "what was drawn on: a pane, or the whole screen (blank)", "contrast", PANE_WORDS),
)
_BIOMARKERS = tuple(
    Column(name, f"{name} in the tissue: 1 positive, 0 negative, blank where not tested", "", TESTED_WORDS)
    for name in BIOMARKERS
)
_LAST = (
    Column("pathology_confirmed", "whether the type is from pathology", "1", YES_NO_WORDS),
    Column(
        "followup_confirmed",
        "whether clinical follow-up confirmed the type, where pathology did not",
        "",
        YES_NO_WORDS,
        "",
        True,
    ),
    Column(
        "reinjection_s",
        "seconds after the first injection of a second one; nothing counts from there",
        "",
        (),
        "s",
        True,
    ),
    Column(
        "track_checked",
        "yes once a person has looked at a lesion's quality sheet and found its track right",
        "",
        YES_NO_WORDS,
        "",
        True,
    ),
    Column(
        "clip_checked",
        "yes once a person has looked at clips that check or index doubted, and they are right all the same",
        "",
        YES_NO_WORDS,
        "",
        True,
    ),
)


def _clinical(variable: Variable) -> Column:
    meaning, example, optional = variable.meaning, variable.example, variable.optional
    if variable.kind == "binary":
        words = SEX_WORDS if variable.name == "sex" else YES_NO_WORDS
        return Column(variable.name, meaning, example, words, "", optional)
    units = ", ".join(unit for unit in variable.list_units() if unit != variable.unit)
    also = f"; also in {units} where the header says so" if units else ""
    text = f"{meaning}, {variable.low:g} to {variable.high:g}{also}"
    return Column(variable.name, text, example, (), variable.unit, optional)


LESIONS: tuple[Column, ...] = (*_EXAM, *_BIOMARKERS, *map(_clinical, CLINICAL), *_LAST)
"""`lesions.csv`, one row a lesion."""
EXAM_COLUMNS = tuple(column.name for column in _EXAM)
"""Without these no row can be read."""
UNSEEN_COLUMNS = ("lesion_id", "clips", "outline")
"""Without these the model cannot be asked about a lesion; what else is not there counts as not recorded."""
READS: tuple[Column, ...] = (
    Column("lesion_id", "as in lesions.csv", EXAMPLE_ID),
    Column(
        "reader",
        f"the reader's code in the study ({', '.join(READERS)}), by which the reader is counted; another name stays in "
        "the hospital and counts for its role alone",
        "junior1",
    ),
    Column("role", "junior or senior radiologist on CEUS, or mri", "junior", ROLES),
    Column("assisted", "whether the reader saw the model's result", "no", YES_NO_WORDS),
    Column("diagnosis", "the reader's diagnosis", "HCC", LESION_TYPES),
    Column("seconds", "time that the reading took", "40", (), "s", True),
    Column("confidence", "how sure the reader is, from 1 (a guess) to 5 (certain)", "4", SURE_WORDS, "", True),
)
"""`reads.csv`, one row a diagnosis."""
CLOSED: Mapping[str, tuple[str, ...]] = {c.name: c.allowed for c in (*LESIONS, *READS) if c.allowed}
"""Columns in which only these words may stand."""
