"""The reasons for faults of site.yaml, policy.yaml and the tables."""

from __future__ import annotations

from client.faults.reason import Reason

SITE = (
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
TABLE = (
    Reason(
        "unreadable-table",
        "The table is missing, too large, or not a CSV or XLSX file in the encoding that site.yaml states for it.",
        'Save it as "CSV UTF-8" or .xlsx, or state encoding: {table: gb18030} in site.yaml (reads for reads.csv).',
    ),
    Reason("empty-table", "The table has no header line.", "Begin with the header that `ceus-site init` writes."),
    Reason(
        "header-row",
        "The header is in another row than site.yaml states, as where a title is above it.",
        "Write its row in site.yaml, as in header_row: {table: 2}, or delete the rows above it.",
    ),
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
CELLS = (
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
    Reason(
        "folder-for-file",
        "A cell names a folder where a file is expected.",
        "Write the path of one file in it; a clip is one file.",
    ),
)
LEAKS = (
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
        "Correct the clips or the patient_id of the listed rows; where files of other content only look alike, write "
        "yes in clip_checked of all these rows.",
    ),
)
READS = (
    Reason(
        "unknown-lesion", "A diagnosis in reads.csv is for a lesion that is not in the table.", "Correct lesion_id."
    ),
    Reason(
        "repeated-read",
        "A reader has diagnosed a lesion twice in the same mode.",
        "Keep one of the rows, or correct assisted.",
    ),
)
