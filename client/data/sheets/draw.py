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
from client.data.dataset.row_faults import lost_fault, row_fault
from client.data.dataset.worker_pool import LIMITS, Limits, Lost, each
from client.data.forms.site_config import SiteConfig, pseudonym
from client.data.imaging.clip import ClipError
from client.data.outlines.outline import OutlineError
from client.data.sheets.contact_sheet import Tile, contact_sheets, tile_of
from client.data.sheets.quality_sheet import quality_sheet
from client.data.table.rows import Row

_TITLE_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Drawn:
    """sheets: drawn lesions · doubtful: of these, to be looked at · pages: contact sheets · faults: of the others."""

    sheets: int
    doubtful: int
    pages: tuple[Path, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Drawing:
    """What every sheet of a site needs. target: folder of the pictures · contact: also draw contact sheets."""

    site: SiteConfig
    processing: Processing
    target: Path
    contact: bool = True

    def sheet(self, row: Row) -> Tile | Fault:
        """Draws one lesion, whether or not its track is trusted."""
        try:
            found = examined(row, self.site, self.processing)
        except (ClipError, OutlineError) as error:
            column = "outline" if isinstance(error, OutlineError) else "clips"
            return row_fault(row, self.site, column, error)
        key, label = pseudonym(self.site, "lesion", row.lesion_id), row.label or "blank"
        heading = f"row {row.line} · lesion {key} · {row.cohort} · type {label}"
        quality_sheet(heading, found, self.target / f"{key}.png", self.processing.correlation_gate)
        return tile_of(row.line, f"row {row.line} {key[:_TITLE_CHARACTERS]} {label}", found.trace)


def draw_site(
    drawing: Drawing, rows: Sequence[Row], progress: OnProgress, workers: int = 0, limits: Limits = LIMITS
) -> Drawn:
    """Draws the sheets of these rows and their contact sheets. A lesion that cannot be drawn costs its sheet only.

    workers: processes, 0 = none.
    """
    tiles: list[Tile] = []
    faults: list[Fault] = []
    with closing(each(partial(Drawing.sheet, drawing), rows, min(workers, len(rows)), limits)) as outcomes:
        for done, (row, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Tile):
                tiles.append(outcome)
            else:
                faults.append(lost_fault(row, drawing.site, outcome) if isinstance(outcome, Lost) else outcome)
            progress(done, len(rows))
    pages = contact_sheets(tiles, drawing.target) if drawing.contact and tiles else []
    faults.sort(key=lambda fault: fault.row or 0)
    return Drawn(len(tiles), sum(tile.doubtful for tile in tiles), tuple(pages), tuple(faults))
