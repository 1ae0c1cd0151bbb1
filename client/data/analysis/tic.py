"""Time-intensity curve (TIC) of the lesion: linearised, averaged over the tracked outline, smoothed, and measured.

Levels are logarithmic: I = 10^((v / 255) * range / 10). Speckle averaged before linearising reads 2.5 dB low and
flattens the peak, so every level is linearised first. Names and definitions of the parameters follow VueBox
(Strouthos 2010, IEEE TUFFC 57:1296; World J Gastroenterol 2023, 29:4021, table 1), except where said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from client.data.analysis import curve_smoothing
from client.data.imaging.recording import F64, U8

F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
Mask = tuple[F64, npt.NDArray[np.int_]]
"""Weights (h w) of the pixels of a region, and the place (x, y) of the first one, px."""

_ARRIVAL_SHARE = 0.05
"""Share of the rise above the baseline at which the contrast counts as arrived."""
_MOSTLY_HELD = 0.5
"""With more than this share of frames held, the track tells nothing and values are taken as they are."""
_FLAT = 1e-6
"""Relative range below which a curve has no peak."""
PEAK_DB = 0.5
"""The peak is the first time within this of the hump's highest value. A haemangioma fills towards a plateau: there the
place of the maximum is chance."""
HUMP_DB = 3.0
"""A hump counts from this far below the highest value of the curve, so from half of it. Many lesions have an arterial
and a portal hump of nearly one height: the first one is the peak, whichever is the higher by chance."""
FALL_DB = 0.25
"""A hump ends where the curve has fallen by this, 6 %."""
_WASH_IN_S = 3.0
_WASH_OUT_S = 40.0
"""The steepest wash-in and wash-out are the steepest chords that last so long. The steepest step of a measured curve is
noise, and a wash-out is slow: over 15 s its rate errs by an eighth, over 40 s by a tenth."""
_STEADIER = 1.5
"""The peak that parameters are measured to is found on a curve whose window is wider by this: times and areas up to it
then err by a third less, while the peak that chooses key frames stays that of the curve itself."""


@dataclass(frozen=True, eq=False)
class Tic:
    """A time-intensity curve (TIC).

    Attributes:
        values, smoothed: f64 (t), linear intensity in arbitrary units.
        peak: Index as of `find_first_peak`.
        enhances: False where the curve is flat, so that the peak means nothing.
        steady_peak: Index of the peak that parameters are measured to (see _STEADIER), None = peak.
    """

    values: F64
    smoothed: F64
    peak: int
    enhances: bool
    steady_peak: int | None = None


def build_linear_table(range_db: float, linearise: bool) -> F64:
    """Intensity of each level (256); without linearising the level itself, 0-1.

    >>> build_linear_table(50.0, True)[[0, 255]].tolist()
    [1.0, 100000.0]
    """
    share = np.arange(256, dtype=np.float64) / 255.0
    return np.asarray(10.0 ** (share * range_db / 10.0), dtype=np.float64) if linearise else share


def build_soft_mask(polygon: F64) -> Mask:
    """Weights (h w) of the pixels of a polygon (n 2), px, and the place (x, y) of their first one.

    A pixel weighs as much as it is deep inside, 1 at the deepest: an outline is drawn by hand on one frame, a fifth
    too large or beside the lesion takes in a third of other tissue, and what lies on it counts least.
    """
    low = np.floor(polygon.min(axis=0)).astype(int) - 1
    columns, rows = (np.ceil(polygon.max(axis=0)).astype(int) - low + 2).tolist()
    mask = np.zeros((rows, columns), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon - low).astype(np.int32)], 1)
    depth = (cv2.distanceTransform(mask, cv2.DIST_L2, 5).astype(np.float64) - 0.5).clip(0.0)
    return depth / float(depth.max()), low


def compute_roi_means(frames: Sequence[U8], polygon: F64, shift: F32, table: F64) -> F64:
    """Mean intensity (t) inside a polygon (n 2), weighted by `build_soft_mask`; see `compute_weighted_means`."""
    return compute_weighted_means(frames, build_soft_mask(polygon), shift, table)


def compute_weighted_means(frames: Sequence[U8], mask: Mask, shift: F32, table: F64) -> F64:
    """Mean intensity (t) of a region that moves by `shift` (t 2), px; the part outside a frame is left out.

    NaN where nothing of the region lies inside the frame.

    Args:
        frames: Levels, each (h w).
        table: As from `build_linear_table`.
    """
    weights, low = mask
    places = np.rint(shift).astype(int) + low  # (t 2)
    return np.array([_compute_mean(f, weights, place, table) for f, place in zip(frames, places, strict=True)])


def _compute_mean(frame: U8, weights: F64, place: npt.NDArray[np.int_], table: F64) -> float:
    x, y = int(place[0]), int(place[1])
    rows, columns = frame.shape
    part = frame[max(0, y) : max(0, y + weights.shape[0]), max(0, x) : max(0, x + weights.shape[1])]
    seen = weights[max(0, -y) : max(0, rows - y), max(0, -x) : max(0, columns - x)]
    total = float(seen.sum())
    return float((cv2.LUT(part, table) * seen).sum()) / total if total > 0 else float("nan")


def build_curve(values: F64, seconds: F64, outside: Bool, smoothing_s: float) -> Tic:
    """The curve of raw means (t), bridged over frames that show other tissue, smoothed, and its peak (see Tic).

    A flat or dark curve has no peak: `enhances` is False.

    Args:
        outside: (t), frames in which the lesion is not in the plane.
        smoothing_s: Width of the window in the wash-in (see `curve_smoothing`), s.
    """
    mended = _interpolate_gaps(values, seconds, outside)
    windows_s = (smoothing_s, _STEADIER * smoothing_s)
    smoothed, steady = curve_smoothing.fit_courses(
        mended, seconds, find_arrival_s(mended, seconds, smoothing_s), windows_s
    )
    span = float(smoothed.max() - smoothed.min())
    enhances = span > _FLAT * max(float(abs(smoothed).max()), 1e-12)
    return Tic(mended, smoothed, find_first_peak(smoothed), enhances, find_first_peak(steady))


def find_first_peak(curve: F64) -> int:
    """Index of the first value of a curve (t) within PEAK_DB of the top of its first hump (see HUMP_DB, FALL_DB).

    >>> find_first_peak(np.array([0.0, 1.0, 4.0, 2.0, 1.0, 3.9, 2.0]))
    2
    """
    if float(curve.max()) <= 0:
        return int(np.argmax(curve))
    start = int(np.argmax(curve >= curve.max() * _share(HUMP_DB)))
    risen = np.maximum.accumulate(curve[start:])
    fallen = np.flatnonzero(curve[start:] < risen * _share(FALL_DB))
    top = float(risen[fallen[0]]) if len(fallen) else float(risen[-1])
    return int(np.argmax(curve >= top * _share(PEAK_DB)))


def _share(fall_db: float) -> float:
    return float(10.0 ** (-fall_db / 10.0))


def find_arrival_s(values: F64, seconds: F64, smoothing_s: float) -> float:
    """Time after which raw means (t) stay above a twentieth of their rise up to the highest; NaN is bridged."""
    smoothed = smooth(_interpolate_gaps(values, seconds, np.zeros(len(values), dtype=bool)), seconds, smoothing_s)
    peak = int(np.argmax(smoothed))
    above = smoothed - float(smoothed[: peak + 1].min())
    return float(seconds[_find_crossing(above, peak, _ARRIVAL_SHARE * float(above[peak]))])


def _interpolate_gaps(values: F64, seconds: F64, outside: Bool) -> F64:
    """Values interpolated in time over frames that are outside or have none."""
    missing = ~np.isfinite(values)
    if outside.mean() <= _MOSTLY_HELD:
        missing |= outside
    if missing.all():
        return np.nan_to_num(values)
    return np.interp(seconds, seconds[~missing], values[~missing])


def smooth(values: F64, seconds: F64, window_s: float) -> F64:
    """Values (t) at irregular times, smoothed by a local line over `window_s`, twice.

    A local line (Cleveland 1979, with even weights): a local mean would shift the ends of the curve and the wash-in.
    Equals the values where fewer than three frames lie in a window. Costs O(t).
    """
    once = _local_line(values, seconds, window_s)
    return _local_line(once, seconds, window_s)


def _local_line(values: F64, seconds: F64, window_s: float) -> F64:
    time = seconds - seconds.mean()
    first = np.searchsorted(time, time - window_s / 2, side="left")
    after = np.searchsorted(time, time + window_s / 2, side="right")
    n = (after - first).astype(np.float64)
    sums = [np.concatenate([[0.0], np.cumsum(terms)]) for terms in (time, values, time * time, time * values)]
    st, sv, stt, stv = (total[after] - total[first] for total in sums)
    spread = stt - st * st / n
    usable = (n >= 3) & (spread > 1e-9)
    slope = np.where(usable, (stv - st * sv / n) / np.where(usable, spread, 1.0), 0.0)
    return np.where(usable, sv / n + slope * (time - st / n), values)


def compute_parameters(tic: Tic, seconds: F64) -> Mapping[str, float]:
    """The standard parameters of a smoothed curve; those that the clip does not show are left out.

    Returns:
        base: Level before arrival, a.u.
        PE, PE_dB: Peak enhancement, the highest value above base, a.u. and dB.
        t0, peak_s: Arrival and peak (of the Tic), s after injection; all others refer to the steady peak.
        TTP: Time to peak from t0, s.
        RT: Rise time from the foot of the steepest wash-in chord to the peak, s.
        WiAUC, WoAUC: Area from t0 to the peak, and from the peak to the clip's end, a.u. s.
        WiR, WoR: Steepest wash-in over 3 s, steepest wash-out over 40 s, a.u. / s.
        WiPI: Wash-in perfusion index, WiAUC / RT.
        mTT: First moment of the measured curve from t0, s (ends with the clip: not comparable with a fitted one).
        FT: Fall time from the peak to the foot of the steepest wash-out chord, s.

    >>> seconds = np.arange(0.0, 60.0)
    >>> bolus = 1.0 + 9.0 * np.exp(-0.5 * ((seconds - 20.0) / 5.0) ** 2)
    >>> found = compute_parameters(Tic(bolus, bolus, 20, True), seconds)
    >>> round(found["PE"], 2), found["peak_s"], found["TTP"]
    (9.0, 20.0, 13.0)
    """
    curve, peak = tic.smoothed, _locate_steady_peak(tic)
    if not tic.enhances or peak == 0:
        return {"peak_s": float(seconds[tic.peak])}
    base = float(curve[: peak + 1].min())
    above = curve - base
    arrival = locate_arrival(tic)
    rise = float(above.max())
    found = {
        "base": base,
        "PE": rise,
        "t0": float(seconds[arrival]),
        "peak_s": float(seconds[tic.peak]),
        "TTP": float(seconds[peak] - seconds[arrival]),
        "WiAUC": float(np.trapezoid(above[arrival : peak + 1], seconds[arrival : peak + 1])),
    }
    if base > 0:
        found["PE_dB"] = float(10.0 * np.log10(curve.max() / base))
    weights = above[arrival:].clip(0.0)
    area = float(np.trapezoid(weights, seconds[arrival:]))
    if area > 0:
        found["mTT"] = float(np.trapezoid(weights * (seconds[arrival:] - seconds[arrival]), seconds[arrival:]) / area)
    return found | _compute_wash_in(above, seconds, peak, found["WiAUC"]) | _compute_wash_out(above, seconds, peak)


def locate_arrival(tic: Tic) -> int:
    """Index of the last frame before the steady peak that is not yet above a twentieth of the curve's rise."""
    peak = _locate_steady_peak(tic)
    base = float(tic.smoothed[: peak + 1].min())
    return _find_crossing(tic.values - base, peak, _ARRIVAL_SHARE * float(tic.smoothed.max() - base))


def _locate_steady_peak(tic: Tic) -> int:
    return tic.peak if tic.steady_peak is None else tic.steady_peak


def _find_crossing(above: F64, peak: int, share: float) -> int:
    """The last frame before the peak that is not yet above `share`: wash-in starts there.

    On the values themselves, a median of three: smoothing would let a sharp arrival begin seconds early.
    """
    below = np.flatnonzero(median_filter(above, size=3, mode="nearest")[: peak + 1] <= share)
    return int(below[-1]) if len(below) else 0


def _compute_wash_in(above: F64, seconds: F64, peak: int, area: float) -> dict[str, float]:
    steepest = _find_steepest(above[: peak + 1], seconds[: peak + 1], _WASH_IN_S)
    if steepest is None:
        return {}
    slope, foot_s = steepest
    rise_time = float(seconds[peak]) - foot_s
    return {"WiR": slope, "RT": rise_time} | ({"WiPI": area / rise_time} if rise_time > 0 else {})


def _compute_wash_out(above: F64, seconds: F64, peak: int) -> dict[str, float]:
    if peak >= len(above) - 1:
        return {}
    found = {"WoAUC": float(np.trapezoid(above[peak:], seconds[peak:]))}
    steepest = _find_steepest(-above[peak:], seconds[peak:], _WASH_OUT_S)
    return found if steepest is None else found | {"WoR": steepest[0], "FT": steepest[1] - float(seconds[peak])}


def _find_steepest(curve: F64, seconds: F64, lasting_s: float) -> tuple[float, float] | None:
    """Slope of the steepest rising chord that lasts so long, and the time at which it passes 0; None without one."""
    starts = seconds[seconds + lasting_s <= seconds[-1]]
    if not len(starts):
        return None
    low, high = np.interp(starts, seconds, curve), np.interp(starts + lasting_s, seconds, curve)
    first = int(np.argmax(high - low))
    slope = float(high[first] - low[first]) / lasting_s
    return (slope, float(starts[first] - low[first] / slope)) if slope > 0 else None
