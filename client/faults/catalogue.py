"""The fault catalogue: every reason to reject a file, a cell or a lesion, what it means and what to do.

The table of errors in docs/site.md and the page of `ceus-site check --html` are made from it. A fault itself says
more: the place, the rule with its numbers, and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping

from client.faults.reason import Reason
from client.faults.recordings import CLIPS, EXAMS, OUTLINES

_SITE = (
    Reason(
        "bad-site-file",
        "A key or value of site.yaml is not allowed.",
        "Correct the line that is named; `ceus-site init` in a new folder writes a file to compare with.",
    ),
    Reason(
        "bad-policy-file",
        "policy.yaml is missing, or a key or value of it is not allowed; every task is refused until it is corrected.",
        "Correct the line that is named; `ceus-site init` in a new folder writes a file to compare with.",
    ),
    Reason(
        "open-secret",
        "Other users of the machine can read the key that pseudonyms are made with.",
        "Run chmod 600 on the file that secret_file names.",
    ),
)
_TABLE = (
    Reason(
        "unreadable-table",
        "The table is missing, too large, or not a CSV or XLSX file in the encoding that site.yaml states.",
        'Save it as "CSV UTF-8" or .xlsx, or state encoding: gb18030 in site.yaml.',
    ),
    Reason("empty-table", "The table has no header line.", "Begin with the header that `ceus-site init` writes."),
    Reason(
        "missing-column",
        "A required column is not in the header.",
        "Add or rename it; leave its cells blank where nothing is recorded.",
    ),
    Reason("repeated-column", "A column appears twice in the header.", "Remove one of the two."),
    Reason(
        "wrong-unit",
        "The header of a laboratory value states no unit, or one that is not known; the column is not used.",
        "Write the unit in parentheses, as in ALB (g/dL).",
    ),
    Reason("cell-count", "A row has more cells than the header.", "Put quotes around a cell that holds a comma."),
    Reason(
        "example-row",
        "The example row of `ceus-site init` is still in the table; it is never used as a patient.",
        "Replace it by a lesion, or delete it.",
    ),
    Reason(
        "excel-error",
        "A cell holds an error of Excel such as #N/A, or a formula whose value is not saved.",
        "Correct the formula and save the workbook in Excel, or leave the cell blank.",
    ),
)
_CELLS = (
    Reason("missing-id", "An id is blank.", "Write the hospital's own id; it stays in the hospital."),
    Reason("missing-value", "A cell that must be filled is blank.", "Write it, or remove the row."),
    Reason("bad-date", "A date is not a calendar day in a known format.", "Write it as 2022-03-07."),
    Reason(
        "ambiguous-date",
        "A date such as 03/04/2021 can be read in two ways.",
        "Write it as 2021-04-03, or state dates: day-first or dates: month-first in site.yaml.",
    ),
    Reason("date-outside-study", "An exam lies before or after the study.", "Correct the date, or remove the row."),
    Reason(
        "unknown-type",
        "A lesion type is not one of HCC, HM, ICC, HH, HA, OT.",
        "Write one of them, or map your words to them under labels in site.yaml.",
    ),
    Reason(
        "bad-value",
        "A cell holds a word that is not in the list of its column.",
        "Write one of the listed words, or map yours to them under labels in site.yaml.",
    ),
    Reason(
        "bad-number",
        "A cell is not a single number within its limits.",
        "Write digits with a decimal point; for <0.8 write the limit 0.8; leave the cell blank if unknown.",
    ),
    Reason(
        "implausible-value",
        "A laboratory value is outside the range of patients, often because it is in another unit.",
        "Correct the value, or state the unit in the header.",
    ),
    Reason(
        "start-times",
        "The start times do not increase, lie outside the exam, or their number differs from the number of clips.",
        "Write the seconds after injection at which each clip begins, joined by semicolons. Only a single clip may be "
        "without one.",
    ),
    Reason(
        "path-outside-folder",
        "A cell names a file by an absolute path, or outside the site's folder.",
        "Copy the file into the folder and write its path from there.",
    ),
)
_LEAKS = (
    Reason("duplicate-id", "A lesion_id appears in several rows.", "Give each lesion its own id."),
    Reason(
        "lesion-under-two-patients",
        "A lesion_id belongs to two patients.",
        "Give each lesion its own id, or correct patient_id.",
    ),
    Reason(
        "patient-in-two-cohorts",
        "A patient's lesions are in two cohorts: the patient would be used for training and for testing.",
        "Keep the rows of one of the two periods.",
    ),
    Reason(
        "alike-patient-ids",
        "Two patient ids differ only in case, spaces or leading zeros, and may be one patient.",
        "Write one spelling, or make the ids of two people differ in more.",
    ),
    Reason(
        "clip-shared",
        "The same clip, by name or by content, belongs to two patients or two cohorts.",
        "Correct the clips or the patient_id of the listed rows.",
    ),
)
_READING = (
    Reason(
        "reading-failed",
        "Reading a lesion stopped with an unexpected error.",
        "Export its clips and its outline again; if that does not help, report the error and the line in the message.",
    ),
    Reason(
        "reading-crashed",
        "A decoder crashed its process; the other lesions were read.",
        "Export the clips again, in another compression if the scanner offers one.",
    ),
    Reason(
        "reading-too-long",
        "Reading a lesion exceeded the time limit.",
        "Export the clips again; if that does not help, split the longest one into several files.",
    ),
    Reason(
        "reading-too-large",
        "Reading a lesion exceeded the memory limit of a worker.",
        "Export the clips again; if that does not help, split the longest one, or use fewer --workers.",
    ),
)
_READS = (
    Reason(
        "unknown-lesion", "A diagnosis in reads.csv is for a lesion that is not in the table.", "Correct lesion_id."
    ),
    Reason(
        "repeated-read",
        "A reader has diagnosed a lesion twice in the same mode.",
        "Keep one of the rows, or correct assisted.",
    ),
)

SECTIONS: Mapping[str, tuple[Reason, ...]] = {
    "site.yaml": _SITE,
    "The table": _TABLE,
    "Cells": _CELLS,
    "Patients and cohorts": _LEAKS,
    "Clips": CLIPS,
    "The exam of a lesion": EXAMS,
    "Outlines": OUTLINES,
    "Reading a lesion": _READING,
    "reads.csv": _READS,
}
"""Title → reasons, in the order in which a person meets them."""
REASONS: Mapping[str, Reason] = {reason.slug: reason for section in SECTIONS.values() for reason in section}


def as_markdown() -> str:
    """The whole catalogue as tables, one a section."""
    parts = []
    for title, reasons in SECTIONS.items():
        lines = [f"| `{reason.slug}` | {reason.meaning} | {reason.remedy} |" for reason in reasons]
        parts.append(
            "\n".join([f"### {title}", "", "| reason | what it means | what to do |", "|---|---|---|", *lines])
        )
    return "\n\n".join(parts) + "\n"
