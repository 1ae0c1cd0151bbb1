"""Readers of a reader study by the codes of its protocol, so that counts of sites add without names of persons."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product

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
READS = tuple(product(range(len(READERS)), (0, 1)))
"""(place of the reader, alone or assisted): every way in which a reader with a code can read a lesion."""
READ_PAIRS = tuple(combinations(READS, 2))
"""Every two of them, in the order in which it is counted how often both are right."""
CONFIDENCE = (1, 2, 3, 4, 5)
"""How sure a reader is of a diagnosis, from a guess to certain."""
