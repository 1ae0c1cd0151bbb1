"""One lesion from its files, for the model to be asked about: in a process of its own, which needs no torch."""

from __future__ import annotations

from ceus_models.processing import Processing
from ceus_models.sample import Sample
from client.clip import ClipError
from client.config import SiteConfig
from client.faults import Fault
from client.outline import OutlineError
from client.pipeline import doubtful_sample_of
from client.rows import Row
from client.trace import Trace


def read_lesion(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace] | Fault:
    """The sample and how it came about, or what is wrong with its files."""
    try:
        return doubtful_sample_of(row, site, processing)
    except (ClipError, OutlineError) as error:
        column = "outline" if isinstance(error, OutlineError) else "clips"
        found = (error.reason, error.rule, error.value, error.remedy)
        return Fault(site.table.name, row.line, column, *found)
