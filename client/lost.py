"""What a lesion is counted as when its reading ended in a way that no reader foresaw."""

from __future__ import annotations

from client.config import SiteConfig
from client.crew import Lost
from client.faults import Fault
from client.manifest import Row

_RULES = {
    "reading-failed": "the files of a lesion can be read",
    "reading-crashed": "the decoders survive the files of a lesion",
    "reading-too-long": "a lesion is read within the time limit",
    "reading-too-large": "a lesion is read within the memory limit",
}


def lost_fault(row: Row, site: SiteConfig, lost: Lost) -> Fault:
    """The fault that a lost lesion is."""
    remedy = "export its clips and its outline again; if that does not help, report the finding"
    return Fault(site.table.name, row.line, "clips", lost.reason, _RULES[lost.reason], lost.detail, remedy)
