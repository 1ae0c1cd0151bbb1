"""What one person does at the worklist: opens a lesion, draws, looks at what the outline finds, accepts it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from ceus_models.pki.enrolment import utc_now
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import translate
from ceus_models.study.processing import Processing
from client.console.outlining.agreement import compare_outlines
from client.console.outlining.cases import Case, find_case, list_cases
from client.console.outlining.indexing import Indexing
from client.console.outlining.outline_files import DrawnOutline, list_outlines, save_outline
from client.console.outlining.playback import ClipFacts
from client.console.outlining.polygon import parse_polygon
from client.console.outlining.table_cells import write_cells
from client.console.outlining.viewer import Viewer
from client.console.outlining.worklist import Worklist
from client.data.forms.site_config import SiteConfig
from client.data.imaging.recording import F64
from client.data.scan.drafted_rows import add_drafted_row
from client.service.sample_settings import find_processing

_MOST_OPEN = 3
"""The lesion that is drawn, the next one, which its page opens in advance, and the one before."""
_LONGEST_NAME = 60
_SETTINGS_S = 10.0
MOST_RADIUS_PX = 200.0


@dataclass
class Drawing:
    """One person's session of outlining at a site.

    Attributes:
        reader: Name of who draws, "" until it is given.
        indexing: Makes samples anew.
    """

    site: SiteConfig
    reader: str = field(default="", init=False)
    worklist: Worklist = field(init=False)
    indexing: Indexing = field(default_factory=Indexing, init=False)
    _viewers: OrderedDict[Case, Viewer] = field(default_factory=OrderedDict, init=False)
    _by_line: dict[int, Viewer] = field(default_factory=dict, init=False)
    _traced: dict[int, F64] = field(default_factory=dict, init=False)
    _settings: tuple[float, Processing] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Begin with the worklist."""
        self.worklist = Worklist(self.site)

    def sign(self, name: str) -> None:
        """From now on this person draws. Raises ExpectedError."""
        name = " ".join(name.split())
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ExpectedError(f"a reader's name has 1 to {_LONGEST_NAME} characters; type the name again")
        self.reader = name

    def change_site(self, site: SiteConfig) -> None:
        """From now on the site's file says this: clips are read anew."""
        self.close()
        self.site = site
        self.worklist = Worklist(site)

    def open(self, line: int) -> Viewer:
        """The clips of a lesion, being read or read; those that were not looked at for longest are closed.

        Raises ExpectedError.
        """
        key = find_case(self.site, line).without_cells()
        with self._lock:
            viewer = self._viewers.pop(key, None) or Viewer(key, self.site)
            self._viewers[key] = self._by_line[line] = viewer
            while len(self._viewers) > _MOST_OPEN:
                self._viewers.popitem(last=False)[1].close()
        return viewer

    def draw_frame(self, line: int, number: int) -> bytes:
        """A shown frame as JPEG, without a look at the table. Raises IndexError, ExpectedError."""
        return self._find_viewer(line).draw_frame(number)

    def _find_viewer(self, line: int) -> Viewer:
        """As `open`, without a look at the table where the lesion is open."""
        viewer = self._by_line.get(line)
        return self.open(line) if viewer is None or viewer.closed else viewer

    def reopen(self, line: int) -> None:
        """Close the clips of a lesion, so that they are read again."""
        with self._lock:
            viewer = self._viewers.pop(find_case(self.site, line).without_cells(), None)
        if viewer is not None:
            viewer.close()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            for viewer in self._viewers.values():
                viewer.close()
            self._viewers.clear()

    def describe(self, line: int) -> dict[str, Any]:
        """A lesion whose clips are read: times and panes, its outlines and those of others in the same clip."""
        case, facts = find_case(self.site, line), self.open(line).facts()
        return {
            "seconds": facts.seconds,
            "first": facts.first,
            "rows": facts.rows,
            "columns": facts.columns,
            "bmode": facts.bmode,
            "mm_per_pixel": facts.mm_per_pixel,
            "timed": facts.timed,
            **self._describe_outlines(case, facts),
            "others": self._list_neighbours(case, facts),
        }

    def start_trace(self, line: int, given: object, frame: object) -> None:
        """Follow an outline in the background. Raises ExpectedError."""
        case, viewer = find_case(self.site, line), self.open(line)
        facts = viewer.facts()
        polygon = parse_polygon(given, facts.rows, facts.columns)
        viewer.start_trace(line, polygon, _check_frame(frame, facts), case, self._processing())
        self._traced[line] = polygon

    def measure_place(self, line: int, x: float, y: float, radius_px: float) -> list[float | None]:
        """Intensity (t) of a circle of the pane. Raises ExpectedError."""
        radius = min(max(radius_px, 1.0), MOST_RADIUS_PX)
        return self._find_viewer(line).measure_place((x, y), radius, self._processing())

    def save(self, line: int, given: object, frame: object) -> dict[str, Any]:
        """Save the reader's outline beside the clip; the table names it where it named none that is there.

        Raises ExpectedError.
        """
        if not self.reader:
            raise ExpectedError("an outline is signed; give the reader's name first")
        with self._writing:
            return self._save(line, given, frame)

    def _save(self, line: int, given: object, frame: object) -> dict[str, Any]:
        case, viewer = find_case(self.site, line), self.open(line)
        facts = viewer.facts()
        polygon, number = parse_polygon(given, facts.rows, facts.columns), _check_frame(frame, facts)
        outline = viewer.place_on_screen(polygon, number, case.pane)
        path = save_outline(
            case, outline, (self.reader, utc_now().isoformat(timespec="seconds")), viewer.draw_screen(number)
        )
        hint = ""
        if case.outline is None or case.outline.path == path:
            try:
                self._name_in_table(case, path.name)
                self.worklist.keep_doubts(case, self._find_doubts(line, polygon))
            except ExpectedError as error:
                hint = f"The outline is saved. {error}"
        return {**self._describe_outlines(find_case(self.site, line), facts), "hint": hint}

    def use(self, line: int, name: str) -> dict[str, Any]:
        """Let the table name another outline of a lesion. Raises ExpectedError."""
        with self._writing:
            case, facts = find_case(self.site, line), self.open(line).facts()
            chosen = next(
                (one for one in list_outlines(case, facts.view)[0] if one.name == name and not one.used), None
            )
            if chosen is None:
                raise ExpectedError("expected another outline of this lesion, found none; load the page again")
            self._name_in_table(case, name)
            self.worklist.keep_doubts(case, self._find_doubts(line, chosen.polygon))
            hint = f"The table named {case.cell} before." if case.cell else ""
            return {**self._describe_outlines(find_case(self.site, line), facts), "hint": hint}

    def confirm_track(self, line: int) -> None:
        """Write into the table that a person found the track right. Raises ExpectedError."""
        with self._writing:
            write_cells(self.site, find_case(self.site, line).line, {"track_checked": "yes"})

    def add_exam(self, clips: str) -> None:
        """Let a drafted exam with these clips be the table's last row. Raises ExpectedError."""
        with self._writing:
            try:
                add_drafted_row(self.site, clips)
            except OSError as error:
                raise ExpectedError(
                    f"the table cannot be written here ({error.strerror}); copy the row from the draft"
                ) from None

    def _find_doubts(self, line: int, polygon: F64) -> tuple[str, ...]:
        """What the track of this very outline is doubted for; nothing where it was not followed here."""
        traced, found = self._traced.get(line), self.open(line).read_trace(line)
        same = traced is not None and traced.shape == polygon.shape and np.allclose(traced, polygon, atol=0.01)
        return tuple(found.get("doubts", ())) if same else ()

    def _name_in_table(self, case: Case, name: str) -> None:
        """Write the outline's cell, and clear the frame's where another frame stands: the file states it."""
        path = case.first_clip.with_name(name).relative_to(self.site.folder).as_posix()
        cells = {} if case.cell == path else {"outline": path}
        if case.frame_cell:
            cells["outline_frame"] = ""
        if case.track_checked:
            cells["track_checked"] = ""  # that was said of another outline
        if cells:
            write_cells(self.site, case.line, cells)

    def _describe_outlines(self, case: Case, facts: ClipFacts) -> dict[str, Any]:
        outlines, trouble = list_outlines(case, facts.view)
        pairs = [
            {
                "readers": [_call(one), _call(other)],
                "names": [one.name, other.name],
                "frames": [one.frame, other.frame],
                **asdict(compare_outlines(one.polygon, other.polygon, facts.mm_per_pixel)),
            }
            for one, other in combinations(outlines, 2)
        ]
        return {"outlines": [_as_json(one) for one in outlines], "agreement": pairs, "trouble": trouble}

    def _list_neighbours(self, case: Case, facts: ClipFacts) -> list[dict[str, Any]]:
        """Other lesions in the same clip, with the outline that the table names."""
        others = [
            other for other in list_cases(self.site) if other.first_clip == case.first_clip and other.line != case.line
        ]
        return [
            {
                "line": other.line,
                "lesion": other.lesion_id,
                "outlines": [_as_json(one) for one in list_outlines(other, facts.view)[0] if one.used],
            }
            for other in others
        ]

    def _processing(self) -> Processing:
        """Those of the approved studies, looked up anew after a while: the cursor asks many times a second."""
        if self._settings is None or time.monotonic() - self._settings[0] > _SETTINGS_S:
            self._settings = time.monotonic(), find_processing(self.site.folder)
        return self._settings[1]


def _check_frame(frame: object, facts: ClipFacts) -> int:
    if isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame < facts.view.frames:
        return frame
    raise ExpectedError(
        f"the outlined frame is one of the first clip, 0 to {facts.view.frames - 1}; draw on a frame of the first clip"
    )


def _call(outline: DrawnOutline) -> str:
    return outline.reader or translate("made elsewhere")


def _as_json(outline: DrawnOutline) -> dict[str, Any]:
    return {**asdict(outline), "polygon": outline.polygon.round(2).tolist(), "called": _call(outline)}
