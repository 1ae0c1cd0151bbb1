"""Time-intensity curve of the lesion: linearised, averaged over the tracked outline, smoothed, and what it tells.

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

from client.recording import F64, U8

F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

_ARRIVAL_SHARE = 0.05
"""Share of the rise above the baseline at which the contrast counts as arrived."""
_MOSTLY_HELD = 0.5
"""With more than this share of frames held, the track tells nothing and values are taken as they are."""
_FLAT = 1e-6
"""Relative range below which a curve has no peak."""
PEAK_DB = 0.5
"""The peak is the first time within this of the highest value. A haemangioma fills towards a plateau, and many lesions
have an arterial and a portal hump of nearly one height: there the place of the maximum is chance."""
_OUTLYING = 3.0
"""Standard deviations (from the median) beyond which a frame shows other tissue than its neighbours."""
_NEIGHBOURS_S = 4.0
"""Window whose median a frame is held against: one breath. A median follows the flank of a wash-in."""
_FLOOR = 0.02
"""Share of the highest value added to the level by which a residual is divided, so that the dark counts less."""
_WASH_OUT_S = 10.0
"""Smoothing before the steepest wash-out is looked for: it is slow, and the steepest step of a fast curve is noise."""


@dataclass(frozen=True, eq=False)
class Tic:
    """values, smoothed: f64 (t), linear intensity in arbitrary units · peak: index of the first smoothed value within
    PEAK_DB of the highest · enhances: False where the curve is flat, so that the peak means nothing.
    """

    values: F64
    smoothed: F64
    peak: int
    enhances: bool


def linear_table(range_db: float, linearise: bool) -> F64:
    """Intensity of each level (256); without linearising the level itself, 0-1."""
    share = np.arange(256, dtype=np.float64) / 255.0
    return np.asarray(10.0 ** (share * range_db / 10.0), dtype=np.float64) if linearise else share


def roi_mean(frames: Sequence[U8], polygon: F64, shift: F32, table: F64) -> F64:
    """Mean intensity (t) inside a polygon (n 2) that moves by `shift` (t 2), px; the part outside a frame is left out.

    frames: (h w) levels · table: as from `linear_table`. NaN where nothing of the polygon lies inside the frame.
    """
    low = np.floor(polygon.min(axis=0)).astype(int)
    columns, rows = (np.ceil(polygon.max(axis=0)).astype(int) - low + 1).tolist()
    mask = np.zeros((rows, columns), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon - low).astype(np.int32)], 1)
    inside = mask.astype(bool)
    places = np.rint(shift).astype(int) + low  # (t 2)
    return np.array([_mean_at(f, inside, place, table) for f, place in zip(frames, places, strict=True)])


def _mean_at(frame: U8, inside: Bool, place: npt.NDArray[np.int_], table: F64) -> float:
    x, y = int(place[0]), int(place[1])
    rows, columns = frame.shape
    part = frame[max(0, y) : max(0, y + inside.shape[0]), max(0, x) : max(0, x + inside.shape[1])]
    mask = inside[max(0, -y) : max(0, rows - y), max(0, -x) : max(0, columns - x)]
    levels = part[mask]
    return float(table[levels].mean()) if levels.size else float("nan")


def curve(values: F64, seconds: F64, outside: Bool, smoothing_s: float) -> Tic:
    """The curve of raw means (t), bridged over frames that show other tissue, smoothed, and its peak (see Tic).

    outside (t): frames in which the lesion is not in the plane · smoothing_s: width of the window. Frames that do not
    fit their neighbours are left out too: on a contrast-only clip nothing else tells that the lesion left the plane.
    A flat or dark curve has no peak: `enhances` is False.
    """
    mended = _bridged(values, seconds, outside)
    mended = _bridged(mended, seconds, _outlying(mended, seconds))
    smoothed = smooth(mended, seconds, smoothing_s)
    span = float(smoothed.max() - smoothed.min())
    return Tic(mended, smoothed, first_peak(smoothed), span > _FLAT * max(float(abs(smoothed).max()), 1e-12))


def first_peak(curve: F64) -> int:
    """Index of the first value of a curve (t) within PEAK_DB of the highest."""
    top = float(curve.max())
    return int(np.argmax(curve >= top * 10.0 ** (-PEAK_DB / 10.0))) if top > 0 else int(np.argmax(curve))


def _outlying(values: F64, seconds: F64) -> Bool:
    """Which values (t) lie far from the median around them (Hampel 1974)."""
    gaps = np.flatnonzero(np.diff(seconds) > _NEIGHBOURS_S / 2) + 1
    count = round(_NEIGHBOURS_S / float(np.median(np.diff(seconds)))) if len(seconds) > 1 else 1
    medians = np.concatenate([_running_median(part, count | 1) for part in np.split(values, gaps)])
    residual = np.abs(values - medians) / (np.abs(medians) + _FLOOR * max(float(medians.max()), 1e-12))
    return np.asarray(residual > _OUTLYING * max(1.4826 * float(np.median(residual)), _FLOOR), dtype=bool)


def _running_median(values: F64, count: int) -> F64:
    """Median of `count` (odd) values around each; at the ends of what there is, the outermost value repeated."""
    padded = np.pad(values, count // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, count), axis=1), dtype=np.float64)


def _bridged(values: F64, seconds: F64, outside: Bool) -> F64:
    """Values interpolated in time over frames that are outside or have none."""
    missing = ~np.isfinite(values)
    if outside.mean() <= _MOSTLY_HELD:
        missing |= outside
    if missing.all():
        return np.nan_to_num(values)
    return np.interp(seconds, seconds[~missing], values[~missing])


def smooth(values: F64, seconds: F64, window_s: float) -> F64:
    """Values (t) at irregular times, smoothed by a local line over `window_s`, twice.

    A local line, because a local mean would pull the ends of the curve and the flank of a wash-in aside.
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


def parameters(tic: Tic, seconds: F64) -> Mapping[str, float]:
    """The standard parameters of a smoothed curve; those that the clip does not show are left out.

    base: level before arrival · PE: highest value above base · PE_dB: the same over base, dB · t0, peak_s: s after
    injection, the peak as in Tic ·
    TTP: s from t0 · RT: s from the foot of the steepest wash-in tangent to the peak · WiAUC: a.u. s from t0 to the
    peak · WiR: steepest wash-in, a.u. / s · WiPI = WiAUC / RT · mTT: s, first moment of the seen curve from t0 (cut
    off at the clip's end, so not comparable with a fitted one) · FT: s from the peak to the foot of the steepest
    wash-out tangent · WoAUC: a.u. s from the peak to the clip's end · WoR: steepest wash-out, a.u. / s.
    """
    curve, peak = tic.smoothed, tic.peak
    if not tic.enhances or peak == 0:
        return {"peak_s": float(seconds[peak])}
    base = float(curve[: peak + 1].min())
    above = curve - base
    arrival = _arrival(tic.values - base, peak, _ARRIVAL_SHARE * float(above.max()))
    rise = float(above.max())
    slopes = np.diff(curve) / np.diff(seconds)
    found = {
        "base": base,
        "PE": rise,
        "t0": float(seconds[arrival]),
        "peak_s": float(seconds[peak]),
        "TTP": float(seconds[peak] - seconds[arrival]),
        "WiAUC": float(np.trapezoid(above[arrival : peak + 1], seconds[arrival : peak + 1])),
    }
    if base > 0:
        found["PE_dB"] = float(10.0 * np.log10(curve.max() / base))
    weights = above[arrival:].clip(0.0)
    area = float(np.trapezoid(weights, seconds[arrival:]))
    if area > 0:
        found["mTT"] = float(np.trapezoid(weights * (seconds[arrival:] - seconds[arrival]), seconds[arrival:]) / area)
    return found | _wash_in(above, seconds, slopes, peak, found["WiAUC"]) | _wash_out(above, seconds, peak)


def _arrival(above: F64, peak: int, share: float) -> int:
    """The last frame before the peak that is not yet above `share`: wash-in starts there.

    On the values themselves, a median of three: smoothing would let a sharp arrival begin seconds early.
    """
    below = np.flatnonzero(_running_median(above, 3)[: peak + 1] <= share)
    return int(below[-1]) if len(below) else 0


def _wash_in(above: F64, seconds: F64, slopes: F64, peak: int, area: float) -> dict[str, float]:
    steepest = int(np.argmax(slopes[:peak]))
    slope = float(slopes[steepest])
    middle = 0.5 * (seconds[steepest] + seconds[steepest + 1])
    level = 0.5 * (above[steepest] + above[steepest + 1])
    rise_time = float(seconds[peak] - (middle - level / slope))
    return {"WiR": slope, "RT": rise_time} | ({"WiPI": area / rise_time} if rise_time > 0 else {})


def _wash_out(above: F64, seconds: F64, peak: int) -> dict[str, float]:
    if peak >= len(above) - 1:
        return {}
    found = {"WoAUC": float(np.trapezoid(above[peak:], seconds[peak:]))}
    above = smooth(above, seconds, _WASH_OUT_S)
    slopes = np.diff(above) / np.diff(seconds)
    steepest = peak + int(np.argmin(slopes[peak:]))
    slope = float(slopes[steepest])
    if slope >= 0:
        return found
    middle = 0.5 * (seconds[steepest] + seconds[steepest + 1])
    level = 0.5 * (above[steepest] + above[steepest + 1])
    return found | {"WoR": -slope, "FT": float(middle + level / -slope - seconds[peak])}
