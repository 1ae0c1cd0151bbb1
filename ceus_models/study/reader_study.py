"""Who reads in a reader study: the codes of its protocol, so that no name of a person is needed to add over sites."""

from __future__ import annotations

from collections.abc import Mapping

ROLES = ("junior", "senior", "mri")
"""Radiologists on CEUS, and readers of MRI, who read without the model."""
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
"""Code in `reads.csv` → role. A reader of another name counts for the role alone."""
ENTRIES = (*READERS, *ROLES)
"""What diagnoses are counted by: each reader, then each role with all its readers."""
