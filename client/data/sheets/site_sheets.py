"""`ceus-site show`: a quality sheet a lesion, named by its pseudonym, and the contact sheets of the site."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ceus_models.runtime.errors import Fault
from ceus_models.runtime.progress_bar import OnProgress
from ceus_models.study.processing import Processing
from client.data.analysis.pipeline import examined
from client.data.dataset.row_faults import each_row, row_fault
from client.data.forms.site_config import SiteConfig, pseudonym
from client.data.imaging.clip import ClipError
from client.data.outlines.outline import OutlineError
from client.data.sheets.contact_sheet import Tile, make_tile, write_contact_sheets
from client.data.sheets.quality_sheet import write_quality_sheet
from client.data.table.rows import Row

_TITLE_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class SheetReport:
    """The quality sheets that were drawn.

    Attributes:
        sheets: Number of lesions drawn.
        doubtful: Number of these that a person must check.
        pages: The contact sheets.
        faults: Faults of the other lesions.
    """

    sheets: int
    doubtful: int
    pages: tuple[Path, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class SheetJob:
    """What every sheet of a site needs.

    Attributes:
        target: Folder of the pictures.
        contact: Whether contact sheets are drawn too.
    """

    site: SiteConfig
    processing: Processing
    target: Path
    contact: bool = True

    def draw(self, row: Row) -> Tile | Fault:
        """Draw one lesion, whether or not its track is trusted."""
        try:
            found = examined(row, self.site, self.processing)
        except (ClipError, OutlineError) as error:
            return row_fault(row, self.site, error)
        key, label = pseudonym(self.site, "lesion", row.lesion_id), row.label or "blank"
        heading = f"row {row.line} · lesion {key} · {row.cohort} · type {label}"
        write_quality_sheet(heading, found, self.target / f"{key}.png", self.processing.correlation_gate)
        return make_tile(row.line, f"row {row.line} {key[:_TITLE_CHARACTERS]} {label}", found.trace)


def draw_sheets(job: SheetJob, rows: Sequence[Row], progress: OnProgress, workers: int = 0) -> SheetReport:
    """Draw the sheets of these rows and their contact sheets. A lesion that cannot be drawn costs its sheet only.

    workers: processes, 0 = none.
    """
    tiles: list[Tile] = []
    faults: list[Fault] = []
    with closing(each_row(partial(SheetJob.draw, job), rows, job.site, workers)) as outcomes:
        for done, (_, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Tile):
                tiles.append(outcome)
            else:
                faults.append(outcome)
            progress(done, len(rows))
    pages = write_contact_sheets(tiles, job.target) if job.contact and tiles else []
    faults.sort(key=lambda fault: fault.row or 0)
    return SheetReport(len(tiles), sum(tile.doubtful for tile in tiles), tuple(pages), tuple(faults))
