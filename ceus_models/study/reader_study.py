"""Readers of a reader study by the codes of its protocol, so that counts of sites add without names of persons."""

from __future__ import annotations

from collections.abc import Mapping

ROLES = ("junior", "senior", "mri")
"""Radiologists who read CEUS, and readers of MRI, who read without the model."""
READERS: Mapping[str, str] = {
    "junior1": "junior",
    "junior2": "junior",
    "junior3": "junior",
    "senior1": "senior",
    "senior2": "senior",
    "senior3": "senior",
    "mri1": "mri",
    "mri2": "mri",
}
"""Code in `reads.csv` → role. A reader of another name is counted by role only."""
ENTRIES = (*READERS, *ROLES)
"""Diagnoses are counted by reader, then by role over its readers without a code: no count is part of another."""
