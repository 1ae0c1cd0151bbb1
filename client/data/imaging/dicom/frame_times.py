"""Frame times from a DICOM header (PS3.3 C.7.6.5): FrameTimeVector, FrameTime, then the rates, in this order.

What else the header states of the times is compared with those that are used. Tolerances follow what scanners write
(docs/decisions.md): CineRate is a whole number, FrameTime a nominal interval, EffectiveDuration often whole seconds;
RecommendedDisplayFrameRate is a speed of replay and contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from client.data.imaging.dicom.header import parse_positive
from client.data.imaging.recording import (
    F64,
    ClipError,
    Times,
    check_plausible_times,
    make_even_times,
    missing_times_error,
)
from client.faults.fault import Doubt

ORDER = ("FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate")
_FRAME_TIME = 0x00181063
_RATE_SHARE, _RATE_HZ = 0.1, 0.51
"""Rates agree within a tenth or half a frame a second, by which a whole number is off."""
_INTERVAL_SHARE = 0.2
"""A nominal interval lies between the shortest and the longest of the vector, give or take a fifth."""
_SPAN_SHARE, _SPAN_S = 0.2, 1.5
"""Durations agree within a fifth, or the second and a frame by which a whole number of seconds is off."""


@dataclass(frozen=True)
class HeaderTimes:
    """The frame times that a header states.

    Attributes:
        vector: The interval before each frame, ms.
        rates: Frame rates in Hz, by the tag that states them.
        even: Whether FrameIncrementPointer names FrameTime, which then comes before the vector.
        duration_s: EffectiveDuration, None where it is not stated.
    """

    vector: tuple[float, ...]
    rates: Mapping[str, float]
    even: bool
    duration_s: float | None = None

    @staticmethod
    def from_header(header: Dataset) -> HeaderTimes:
        """The times of a header."""
        interval = parse_positive(header.get("FrameTime"))
        rates = {"FrameTime": 1000.0 / interval} if interval else {}
        rates |= {name: rate for name in ORDER[2:] if (rate := parse_positive(header.get(name)))}
        return HeaderTimes(
            _parse_vector(header.get("FrameTimeVector")),
            rates,
            header.get("FrameIncrementPointer") == _FRAME_TIME,
            parse_positive(header.get("EffectiveDuration")),
        )

    def find_times(self, frames: int) -> Times | None:
        """The times of so many frames, by the first tag of ORDER that states them; None where none does."""
        order = ("FrameTime", *ORDER) if self.even else ORDER
        for name in order:
            if name == "FrameTimeVector" and (stamps := self._sum_intervals(frames)) is not None:
                return Times(stamps, name)
            if name in self.rates:
                return make_even_times(frames, self.rates[name], name)
        return None

    def resolve(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The header's times, else those of the manifest's rate; contradictions are doubts of the times.

        Raises ClipError where there is neither, or the header's are impossible and the manifest states none.
        """
        found = self.find_times(frames)
        if found is None and frame_rate_hz is None:
            raise missing_times_error("no usable tag")
        if found is None:
            return make_even_times(frames, frame_rate_hz or 0.0, "manifest")
        try:
            check_plausible_times(found)
        except ClipError:
            if frame_rate_hz is None:
                raise
            return make_even_times(frames, frame_rate_hz, "manifest")
        return replace(found, doubts=tuple(self._list_contradictions(found, frame_rate_hz)))

    def _list_contradictions(self, used: Times, frame_rate_hz: float | None) -> Iterator[Doubt]:
        frames = len(used.seconds)
        if frames < 2:
            return
        steps = np.diff(used.seconds)
        said = f"{used.source} says {used.span_s:.4g} s for {frames} frames"
        if self.vector and not self.even and len(self.vector) not in (frames, frames + 1):
            yield _doubt_times(f"FrameTimeVector has {len(self.vector)} entries for {frames} frames")
        if used.source == "FrameTimeVector" and "FrameTime" in self.rates:
            nominal = 1.0 / self.rates["FrameTime"]
            if not steps.min() * (1 - _INTERVAL_SHARE) <= nominal <= steps.max() * (1 + _INTERVAL_SHARE):
                yield _doubt_times(f"{said}, FrameTime {1000 * nominal:.4g} ms a frame")
        cine = self.rates.get("CineRate")
        if cine is not None and used.source in ORDER[:2] and not _agree(cine, steps, self.rates.get("FrameTime")):
            yield _doubt_times(f"{said}, CineRate {cine:g} frames a second")
        span = used.span_s + float(np.median(steps))
        if self.duration_s is not None and abs(self.duration_s - span) > max(_SPAN_S, _SPAN_SHARE * span):
            yield _doubt_times(f"{said}, EffectiveDuration {self.duration_s:.4g} s")
        if frame_rate_hz is not None and not _agree(frame_rate_hz, steps):
            yield _doubt_times(f"{said}, frame_rate_hz {frame_rate_hz:g} frames a second")

    def _sum_intervals(self, frames: int) -> F64 | None:
        stamps = np.cumsum(np.array(self.vector[:frames], dtype=np.float64)) / 1000.0
        if frames == 0 or len(stamps) != frames or not bool((np.diff(stamps) > 0).all()):
            return None
        # The first entry stands before the first frame: an offset of the whole clip, no interval.
        return np.asarray(stamps - stamps[0], dtype=np.float64)


def _agree(rate_hz: float, steps: F64, nominal_hz: float | None = None) -> bool:
    """Whether a stated rate is that of the steps (t-1), s, by their median or by their mean: frames may be dropped.

    CineRate counts whole frames, so that 1 stands for anything slower, too. nominal_hz: another rate that it may be.
    """
    rates = (1.0 / float(np.median(steps)), 1.0 / float(steps.mean()), nominal_hz or 0.0)
    slow = rate_hz == 1.0 and max(rates) < 1.0
    return slow or any(abs(rate_hz - rate) <= max(_RATE_HZ, _RATE_SHARE * rate) for rate in rates)


def _doubt_times(found: str) -> Doubt:
    return Doubt(
        "times-disagree",
        "what a clip and its row state of the frame times agrees",
        found,
        "compare with the timer on the screen; where frame_rate_hz is wrong, correct it or leave it blank; where the "
        "file is wrong, write the true frame_rate_hz; then write yes in clip_checked",
    )


def _parse_vector(value: object) -> tuple[float, ...]:
    try:
        numbers = np.atleast_1d(np.asarray([] if value is None else value, dtype=np.float64))
    except (TypeError, ValueError):
        return ()
    return tuple(float(number) for number in numbers) if np.isfinite(numbers).all() else ()
