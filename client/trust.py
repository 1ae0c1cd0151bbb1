"""Whether a lesion's track may be used without a person having looked at it.

The limits were set on phantoms with full motion (docs/decisions.md): they find the tracks whose mean error exceeds
10 px and leave nearly all others alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client.faults import Unusable
from client.tracking import Track

Bool = npt.NDArray[np.bool_]

MOST_HELD = 0.5
"""Breathing out of the plane takes 10-30 % of the frames; a track that is held for more than half shows little."""
MOST_BEYOND = 0.3
"""Share of frames whose best match lies on the rim of the search: `max_shift_px` is too short for this clip."""
MOST_APART = 0.15
"""Share of frames in which the ways there and back disagree, of those in which both found a place."""
APART_PX = 3.0


class UntrustedTrack(Unusable):
    """A lesion whose track a person must look at before it is used."""


@dataclass(frozen=True)
class Trust:
    """figures: shares 0-1 of the frames that count, for the quality · doubts: what speaks against the track, as
    phrases; without one it is trusted.
    """

    figures: Mapping[str, float]
    doubts: tuple[str, ...]


def judged(track: Track, seen: Bool, reference: int) -> Trust:
    """seen (t): frames that count, which on a contrast-only clip are those after the contrast has arrived · reference:
    index of the annotated frame.
    """
    frames = seen if seen.any() else np.ones_like(seen)
    known = track.apart[frames & np.isfinite(track.apart)]
    figures = {
        "lost_share": float(track.held[frames].mean()),
        "beyond_share": float(track.beyond[frames].mean()),
        "apart_share": float((known > APART_PX).mean()) if len(known) else 0.0,
    }
    doubts = [
        text.format(figures[name])
        for name, limit, text in (
            ("lost_share", MOST_HELD, "the box is held in {:.0%} of the frames"),
            ("beyond_share", MOST_BEYOND, "the lesion leaves the search range in {:.0%} of the frames"),
            ("apart_share", MOST_APART, "tracked forwards and backwards it differs in {:.0%} of the frames"),
        )
        if figures[name] > limit
    ]
    if not seen[reference]:
        doubts.append("the outlined frame of a contrast-only clip lies before the enhancement")
    return Trust(figures, tuple(doubts))


def require(trust: Trust, checked: bool) -> None:
    """Raises UntrustedTrack unless the track is trusted, or a person has found it right (`checked`)."""
    if trust.doubts and not checked:
        raise UntrustedTrack(
            "track-to-be-looked-at",
            "the lesion is followed through its clips",
            "; ".join(trust.doubts),
            "look at its quality sheet; if the box stays on the lesion write yes in track_checked, else outline it on "
            "another frame or leave it out",
        )
