"""The second pass of a scan: a clip is decoded once, for its panes, its tint, its curve and a picture."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.study.subgroups import UNKNOWN
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.worker_pool import LIMITS, Limits, LostItem, map_items
from client.data.forms.site_config import SiteConfig, select_screens
from client.data.imaging.clip import Clip, open_clip
from client.data.imaging.recording import U8, ClipError
from client.data.imaging.tint import BRIGHTEST, TINTS, Tint
from client.data.scan.enhancement import Enhancement, judge_contrast, measure_enhancement
from client.data.scan.journal import Journal

PICTURE_HEIGHT = 120
"""Of a picture on the contact sheet, px."""
_GREY = "grey"
_DICOM = (".dcm", ".dcm.gz")


@dataclass(frozen=True, slots=True)
class ClipTask:
    """A clip to look at.

    Attributes:
        stamp: By which it is known.
        suffix: By which it is opened.
        manufacturer: Normalised name, "unknown" where the file does not say it.
        agent: Whether its header states a contrast agent.
    """

    stamp: str
    path: str
    suffix: str
    manufacturer: str
    agent: bool


@dataclass(frozen=True, slots=True)
class ClipFinding:
    """What a clip shows.

    Attributes:
        seconds: From its first frame to its last one.
        panes: 1 or 2.
        tint: Name of the contrast pane's colour map, as in site.yaml.
        contrast: "yes", "perhaps" or "no", and why.
        arrival_s: When contrast arrives, seconds from the first frame; None where no rise is seen.
        reference: Frame near the first peak, counted from 0: where an outline may be drawn.
        digest: SHA-256 of a video's file, by which copies are known; DICOM has an id for that.
        fault: Reason of the catalogue why it cannot be used, "" for none; the other values are empty then.
    """

    frames: int = 0
    seconds: float = 0.0
    rows: int = 0
    columns: int = 0
    panes: int = 0
    layout: str = ""
    tint: str = ""
    contrast: str = ""
    why: str = ""
    arrival_s: float | None = None
    reference: int = 0
    digest: str = ""
    fault: str = ""
    found: str = ""

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> ClipFinding:
        """From the journal. Raises TypeError where it is another form."""
        return cls(**found)


@dataclass(frozen=True)
class ClipReader:
    """Work of a process.

    Attributes:
        pictures: Folder of the pictures, each named by its clip's stamp.
    """

    site: SiteConfig
    pictures: Path

    def look(self, task: ClipTask) -> ClipFinding:
        """Decode a clip; what cannot be used has a fault."""
        path = Path(task.path)
        try:
            digest = "" if task.suffix in _DICOM else compute_file_digest(path)
            with tempfile.TemporaryDirectory() as folder:
                link = Path(folder, f"clip{task.suffix}")  # the reader goes by the suffix, exports have any
                link.symlink_to(path.resolve())
                clip = self._open(link, task.manufacturer)
        except ClipError as error:
            return ClipFinding(fault=error.reason, found=error.value)
        except OSError as error:
            return ClipFinding(fault="missing-clip", found=error.strerror or "it cannot be read")
        found = measure_enhancement(clip.contrast.means, clip.seconds)
        write_atomically(self.pictures / f"{task.stamp}.png", _draw_picture(clip, found.reference))
        return _describe(clip, found, task, (digest, self.site.tints))

    def _open(self, path: Path, manufacturer: str) -> Clip:
        """A clip by the templates of its maker. Where the maker is not known and several fit, its pictures decide."""
        screens, tints = select_screens(self.site, manufacturer), {**TINTS, **self.site.tints}
        try:
            return open_clip(path, 0.0, None, screens, tints, self.site.work)
        except ClipError as error:
            if error.reason != "unknown-panes" or manufacturer != UNKNOWN or not screens:
                raise
            return open_clip(path, 0.0, None, (), tints, self.site.work)


def _describe(clip: Clip, found: Enhancement, task: ClipTask, known: tuple[str, Mapping[str, Tint]]) -> ClipFinding:
    digest, tints = known
    tint = _name_tint(clip.tint, {**TINTS, **tints})
    contrast, why = judge_contrast(found, tint != _GREY, clip.bmode is not None, task.agent)
    return ClipFinding(
        frames=len(clip.contrast),
        seconds=round(float(clip.seconds[-1] - clip.seconds[0]), 2),
        rows=clip.rows,
        columns=clip.columns,
        panes=1 if clip.bmode is None else 2,
        layout=clip.layout,
        tint=tint,
        contrast=contrast,
        why=why,
        arrival_s=found.arrival_s,
        reference=found.reference,
        digest=digest,
    )


def _name_tint(tint: Tint, tints: Mapping[str, Tint]) -> str:
    return next((name for name, known in tints.items() if known == tint), BRIGHTEST)


def _draw_picture(clip: Clip, frame: int) -> bytes:
    """PNG of the panes of one frame side by side; only what lies in the panes, so no banner."""
    shown: list[U8] = [pane[frame] for pane in (clip.contrast, clip.bmode) if pane is not None]
    whole = np.concatenate(shown, axis=1)
    scale = PICTURE_HEIGHT / whole.shape[0]
    small = cv2.resize(whole, (max(1, round(whole.shape[1] * scale)), PICTURE_HEIGHT), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".png", small)[1])


def describe_settings(site: SiteConfig) -> str:
    """A digest of what a look depends on besides the file: templates and colour maps."""
    told = [repr(site.screens), repr(sorted(site.tints.items()))]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def look_at_clips(
    tasks: Sequence[ClipTask], journal: Journal, reader: ClipReader, workers: int, limits: Limits = LIMITS
) -> Generator[tuple[ClipTask, ClipFinding], None, None]:
    """Every clip with what it shows; first those that the journal knows. Close it to end the processes at once."""
    left: list[ClipTask] = []
    for task in tasks:
        kept = _find_kept(journal, task.stamp)
        if kept is None:
            left.append(task)
        else:
            yield task, kept
    with closing(map_items(reader.look, left, min(workers, len(left)), limits)) as results:
        for task, found in results:
            seen = ClipFinding(fault=found.reason, found=found.detail) if isinstance(found, LostItem) else found
            if seen.fault != "missing-clip":  # a network drive may have it the next time
                journal.keep(task.stamp, asdict(seen))
            yield task, seen


def _find_kept(journal: Journal, stamp: str) -> ClipFinding | None:
    try:
        return ClipFinding.from_json(journal.known[stamp])
    except (LookupError, TypeError):
        return None
