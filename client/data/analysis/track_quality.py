"""Decide whether a lesion's track may be used without a check by a person.

The limits were set on phantoms with full motion (docs/decisions.md): they find the tracks whose mean error exceeds
10 px and leave nearly all others alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client.data.analysis.tracking import SPAN, Track
from client.data.imaging.recording import F64
from client.faults.fault import Unusable

Bool = npt.NDArray[np.bool_]

MOST_HELD = 0.5
"""Breathing out of the plane takes 10-30 % of the frames; a track that is held for more than half shows little."""
MOST_BEYOND = 0.3
"""Share of frames whose best match lies on the rim of the search: `max_shift_px` is too short for this clip."""
MOST_APART = 1 / 3
"""Share of frames in which the ways there and back disagree, of those in which both found a place: up to
30 % on 41 of 42 phantoms that are followed to within 5 px; those that are lost have another sign, too."""
APART_PX = 3.0
AWAY_S = 5.0
"""A breath leaves the plane for a second or two; a box that is held for nearly as long as this has lost its place."""
_NEARLY = 0.8
MOST_AWAY = 0.12
"""Share of frames around which the box is held in nearly all of AWAY_S: the probe was moved away."""
LEAST_ALIKE = 0.3
"""Correlation of the speckle before and after any moment of a contrast-only clip: 0.4-0.6 at its lowest where the
lesion is followed, below 0.2 where the probe went to another place and the box with it."""
MOST_UNLIKE = 0.5
"""By how much that lowest correlation falls short of the clip's median: a renewal that is quick throughout makes all
moments unlike, a probe that went away makes one."""


class UntrustedTrack(Unusable):
    """A lesion whose track a person must look at before it is used."""


@dataclass(frozen=True)
class TrackAssessment:
    """Whether the track may be used, with the figures behind the decision.

    Attributes:
        figures: Shares 0-1 of the frames that count, for the quality.
        doubts: Reasons against the track, as phrases; without one it is trusted.
    """

    figures: Mapping[str, float]
    doubts: tuple[str, ...]


def assess_track(track: Track, seconds: F64, seen: Bool, reference: int) -> TrackAssessment:
    """Assess a track by its quality figures.

    Args:
        seconds: (t), times of the frames.
        seen: (t), frames that count, which on a contrast-only clip are those after the contrast has arrived.
        reference: Index of the annotated frame.
    """
    frames = seen if seen.any() else np.ones_like(seen)
    known = track.apart[frames & np.isfinite(track.apart)]
    figures = {
        "lost_share": float(track.held[frames].mean()),
        "away_share": float((_share_held(track.held, seconds)[frames] > _NEARLY).mean()),
        "beyond_share": float(track.beyond[frames].mean()),
        "apart_share": float((known > APART_PX).mean()) if len(known) else 0.0,
        "unlike": _measure_unlikeness(track, frames),
    }
    doubts = [
        text.format(figures[name])
        for name, limit, text in (
            ("lost_share", MOST_HELD, "the box is held in {:.0%} of the frames"),
            ("away_share", MOST_AWAY, "the box is held for seconds on end in {:.0%} of the frames"),
            ("beyond_share", MOST_BEYOND, "the lesion leaves the search range in {:.0%} of the frames"),
            ("apart_share", MOST_APART, "tracked forwards and backwards it differs in {:.0%} of the frames"),
            ("unlike", MOST_UNLIKE, "before and after a moment the box shows other speckle, {:.0%} less alike"),
        )
        if figures[name] > limit
    ]
    if not seen[reference]:
        doubts.append("the outlined frame of a contrast-only clip lies before the enhancement")
    return TrackAssessment(figures, tuple(doubts))


def _share_held(held: Bool, seconds: F64) -> F64:
    """Share (t) of held frames within AWAY_S around each."""
    first = np.searchsorted(seconds, seconds - AWAY_S / 2, side="left")
    after = np.searchsorted(seconds, seconds + AWAY_S / 2, side="right")
    total = np.concatenate([[0], np.cumsum(held)])
    return np.asarray((total[after] - total[first]) / (after - first), dtype=np.float64)


def _measure_unlikeness(track: Track, frames: Bool) -> float:
    """By how much the least alike moment falls short of the usual one, 0-1; 0 where it is alike enough by itself.

    Only moments with SPAN placed frames that count before them. How alike speckle stays differs between machines and
    frame rates, so a moment is held against the others of the same clip.
    """
    alike = track.alike[np.flatnonzero(frames & ~track.held)[SPAN:]]
    known = alike[np.isfinite(alike)]
    least, usual = (float(known.min()), float(np.median(known))) if len(known) else (1.0, 1.0)
    if least >= LEAST_ALIKE:
        return 0.0
    return 1.0 - max(least, 0.0) / usual if usual > 0 else 1.0


def require_trusted(trust: TrackAssessment, checked: bool) -> None:
    """Require a trusted track, or one that a person has confirmed (`checked`). Raises UntrustedTrack."""
    if trust.doubts and not checked:
        raise UntrustedTrack(
            "track-to-be-looked-at",
            "the lesion can be tracked through its clips",
            "; ".join(trust.doubts),
            "open its quality sheet; if the box stays on the lesion, write yes in track_checked; else outline it on "
            "another frame or leave it out",
        )
