"""One name for each scanner manufacturer, whose spelling varies between exports."""

from __future__ import annotations

from ceus_models.study.subgroups import UNKNOWN

OTHER = "other"

# Fragments as they stand in DICOM (0008,0070) of real files, and the brands that hospitals write instead.
# Longer words first where one holds another.
_FRAGMENTS = (
    ("supersonic", "SuperSonic"),
    ("aixplorer", "SuperSonic"),
    ("hologic", "SuperSonic"),
    ("philips", "Philips"),
    ("atl ", "Philips"),
    ("siemens", "Siemens"),
    ("acuson", "Siemens"),
    ("toshiba", "Canon"),
    ("canon", "Canon"),
    ("mindray", "Mindray"),
    ("hitachi", "Hitachi"),
    ("aloka", "Hitachi"),
    ("fujifilm healthcare", "Hitachi"),
    ("samsung", "Samsung"),
    ("medison", "Samsung"),
    ("esaote", "Esaote"),
    ("g.e.", "GE"),
    ("general electric", "GE"),
    ("logiq", "GE"),
)


def manufacturer_name(text: str) -> str:
    """One of `subgroups.MANUFACTURERS`, or "other", or "unknown" for a blank.

    >>> manufacturer_name("G.E. Medical Systems")
    'GE'
    """
    folded = text.strip().casefold()
    if not folded:
        return UNKNOWN
    if folded == "ge" or folded.startswith(("ge ", "ge-", "ge_", "gems")):
        return "GE"
    return next((name for fragment, name in _FRAGMENTS if fragment in folded), OTHER)
