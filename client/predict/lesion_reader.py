"""One lesion from its files, for the model to be asked about: in a process of its own, which needs no torch."""

from __future__ import annotations

from ceus_models.runtime.errors import Fault
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from client.data.analysis.pipeline import build_doubtful_sample
from client.data.analysis.trace import Trace
from client.data.dataset.row_faults import make_row_fault
from client.data.forms.site_config import SiteConfig
from client.data.imaging.clip import ClipError
from client.data.outlines.outline import OutlineError
from client.data.table.rows import Row


def read_lesion(row: Row, site: SiteConfig, processing: Processing) -> tuple[Sample, Trace] | Fault:
    """The sample and how it came about, or what is wrong with its files."""
    try:
        return build_doubtful_sample(row, site, processing)
    except (ClipError, OutlineError) as error:
        return make_row_fault(row, site, error)
