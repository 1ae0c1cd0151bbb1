"""Whether a clip shows contrast, when it arrives, and on which frame a lesion may be outlined.

All is measured on the mean level of the contrast pane within its fan. Where the tumour is largest in the arterial phase
cannot be known without an outline, so the frame near the first peak is proposed and a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from client.data.analysis.events import find_flashes
from client.data.imaging.recording import F64

YES, PERHAPS, NO = "yes", "perhaps", "no"
_SMOOTH_S = 1.5
_RISE_LEVELS = 6.0
_RISE_SHARE = 0.5
"""A rise of contrast is at least so many levels and this share of the level before it: breathing changes a pane of
tissue by less, and such a pane is bright from the first frame on."""
_LOW_PERCENT = 5.0
"""The level before the contrast agent is the lowest percentile up to the peak, which no single dark frame decides."""
_ARRIVED = 0.2
"""Share of the rise at which the agent has arrived."""
_ARTERIAL_S = 30.0
"""Length of the arterial phase from the arrival of the agent on (EFSUMB, WFUMB: 10-20 s to 30-45 s)."""


@dataclass(frozen=True, slots=True)
class Enhancement:
    """The curve of a whole pane in three numbers.

    Attributes:
        rise: Levels between the level before the agent and the peak; 0 where no rise is one of contrast.
        arrival_s: When it arrives, seconds from the first frame; None without a rise.
        reference: Frame near the peak of the arterial phase, counted from 0.
    """

    rise: float
    arrival_s: float | None
    reference: int


def measure_enhancement(levels: F64, seconds: F64) -> Enhancement:
    """From the mean levels (t) of the contrast pane and the times (t) of its frames, s."""
    usable = ~find_flashes(levels, seconds)
    curve = _smooth(np.where(usable, levels, np.nan), seconds)
    peak = int(np.argmax(curve))
    low = float(np.percentile(curve[: peak + 1], _LOW_PERCENT))
    rise = float(curve[peak]) - low
    if rise < _RISE_LEVELS or rise < _RISE_SHARE * low:
        return Enhancement(0.0, None, peak)
    dark = np.flatnonzero(curve[: peak + 1] < low + _ARRIVED * rise)
    arrival = int(dark[-1]) + 1 if len(dark) else 0
    arrival = min(arrival, peak)
    within = (seconds >= seconds[arrival]) & (seconds <= seconds[arrival] + _ARTERIAL_S) & usable
    candidates = np.flatnonzero(within)
    reference = int(candidates[int(np.argmax(curve[candidates]))]) if len(candidates) else peak
    return Enhancement(rise, round(float(seconds[arrival] - seconds[0]), 2), reference)


def judge_contrast(found: Enhancement, tinted: bool, dual: bool, agent: bool) -> tuple[str, str]:
    """ "yes", "perhaps" or "no", and why.

    tinted: whether the contrast pane has a colour map; dual: whether a B-mode pane lies beside it; agent: whether the
    header states a contrast agent.
    """
    if found.arrival_s is not None:
        return YES, f"the pane brightens by {found.rise:.0f} levels"
    if dual and tinted:
        return YES, "two panes, one of them tinted; no rise is seen"
    if agent and (dual or tinted):
        return YES, "the header states a contrast agent; no rise is seen"
    if agent:
        return PERHAPS, "the header states a contrast agent, the pane looks like tissue"
    if dual or tinted:
        return PERHAPS, "two panes" if dual else "a tinted pane; no rise is seen"
    return NO, "one grey pane without a rise"


def _smooth(levels: F64, seconds: F64) -> F64:
    """The mean (t) over _SMOOTH_S around each frame; frames that are NaN do not count, and get what is around them."""
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    width = min(len(levels), max(1, 2 * round(0.5 * _SMOOTH_S / max(step, 1e-3)) + 1))
    window = np.ones(width if width % 2 else width - 1)
    known = np.isfinite(levels)
    if not known.any():
        return np.zeros(len(levels))
    count = np.convolve(known.astype(np.float64), window, mode="same")
    total = np.convolve(np.where(known, levels, 0.0), window, mode="same")
    inside = np.flatnonzero(count > 0)
    return np.interp(np.arange(len(levels)), inside, total[inside] / count[inside])
