"""Frame times from a DICOM header (PS3.3 C.7.6.5): FrameTimeVector, FrameTime, then the rates, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from client.data.imaging.dicom.header import positive
from client.data.imaging.recording import F64, Times, constant_rate, no_times

ORDER = ("FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate")
_FRAME_TIME = 0x00181063


@dataclass(frozen=True)
class Clock:
    """The frame times that a header states.

    Attributes:
        vector: The interval before each frame, ms.
        rates: Frame rates in Hz, by the tag that states them.
        even: Whether FrameIncrementPointer names FrameTime, which then comes before the vector.
    """

    vector: tuple[float, ...]
    rates: Mapping[str, float]
    even: bool

    @staticmethod
    def of(header: Dataset) -> Clock:
        """The times of a header."""
        interval = positive(header.get("FrameTime"))
        rates = {"FrameTime": 1000.0 / interval} if interval else {}
        rates |= {name: rate for name in ORDER[2:] if (rate := positive(header.get(name)))}
        return Clock(_vector(header.get("FrameTimeVector")), rates, header.get("FrameIncrementPointer") == _FRAME_TIME)

    def times(self, frames: int) -> Times | None:
        """The times of so many frames, by the first tag of ORDER that states them; None where none does."""
        order = ("FrameTime", *ORDER) if self.even else ORDER
        for name in order:
            if name == "FrameTimeVector" and (stamps := self._stamps(frames)) is not None:
                return Times(stamps, name)
            if name in self.rates:
                return constant_rate(frames, self.rates[name], name)
        return None

    def trusted(self, frames: int, frame_rate_hz: float | None) -> Times:
        """The header's times, else those of the manifest's rate. Raises ClipError where there is neither."""
        found = self.times(frames)
        if found is None and frame_rate_hz is not None:
            return constant_rate(frames, frame_rate_hz, "manifest")
        if found is None:
            raise no_times("no usable tag")
        return found

    def _stamps(self, frames: int) -> F64 | None:
        stamps = np.cumsum(np.array(self.vector[:frames], dtype=np.float64)) / 1000.0
        if frames == 0 or len(stamps) != frames or not bool((np.diff(stamps) > 0).all()):
            return None
        # The first entry stands before the first frame: an offset of the whole clip, no interval.
        return np.asarray(stamps - stamps[0], dtype=np.float64)


def _vector(value: object) -> tuple[float, ...]:
    try:
        numbers = np.atleast_1d(np.asarray([] if value is None else value, dtype=np.float64))
    except (TypeError, ValueError):
        return ()
    return tuple(float(number) for number in numbers) if np.isfinite(numbers).all() else ()
