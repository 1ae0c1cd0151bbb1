"""A lesion as `examined` gives it, made of numbers alone, for the tests of the sheets."""

from __future__ import annotations

import numpy as np

from client.data.analysis.exam import AGAIN, FLASH, REPEATED
from client.data.analysis.trace import Trace, TracedExam
from client.data.analysis.track_quality import TrackAssessment


def drawn(count: int = 120, held_share: float = 0.1, maps: int = 4, doubts: tuple[str, ...] = ()) -> TracedExam:
    """A lesion of two clips with a gap, enhancing at 20 s."""
    draw = np.random.default_rng(5)
    half = max(1, count // 2)
    seconds = np.concatenate([np.arange(half) * 0.5, 90 + np.arange(count - half) * 0.5])
    curve = np.exp(-(((seconds - 20) / 15) ** 2))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    chosen = np.unique(np.linspace(0, count - 1, 12).astype(np.int64))
    trace = Trace(
        reference=draw.integers(0, 120, (160, 200), dtype=np.uint8),
        polygon=np.column_stack([100 + 30 * np.cos(angles), 80 + 25 * np.sin(angles)]),
        box=(50, 35, 151, 126),
        seconds=seconds,
        tic=curve,
        smoothed=curve,
        peak_index=int(curve.argmax()),
        chosen=chosen,
        correlation=np.full(count, 0.9),
        held=np.arange(count) < held_share * count,
        parameters={"PE": 1.0, "TTP": 20.0},
        flow=draw.normal(0, 1, (maps, 2, 32, 32)).astype(np.float32),
        doubts=doubts,
        notes=("12 frames of flashes and refill left out",) if count > 2 else (),
        source="panes from regions · times from FrameTime",
    )
    return TracedExam(
        trace, draw.integers(0, 255, (len(chosen), 32, 32), dtype=np.uint8), {}, TrackAssessment({}, doubts)
    )


LEFT_OUT = {
    FLASH: np.arange(12.1, 16, 0.5),
    REPEATED: np.array([3.2, 3.7, 25.2]),
    AGAIN: np.arange(130.0, 160.0, 0.5),
}
