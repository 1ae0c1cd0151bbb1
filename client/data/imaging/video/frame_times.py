"""The times of a video's frames by the container's time stamps, which are used whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from client.data.imaging.recording import Times, missing_times_error

Stamps = Sequence[float | None]
"""Time of each frame as the container states it, s; None where it states none."""


def read_stamps(stamps: Stamps) -> Times | None:
    """The container's own times from the first frame on; None where it stamps no frame, as in bare streams.

    Raises:
        ClipError: Some frames have no stamp, or stamps stand still or run backwards.
    """
    known = [stamp for stamp in stamps if stamp is not None]
    if not known:
        return None
    if len(stamps) > 3 and stamps[-1] is None and len(known) == len(stamps) - 1:  # seen in WMV
        known.append(known[-1] + float(np.median(np.diff(known))))
    if len(known) < len(stamps):
        raise missing_times_error(f"time stamps that {len(stamps) - len(known)} of {len(stamps)} frames lack")
    seconds = np.array(known, dtype=np.float64)
    wrong = int((np.diff(seconds) <= 0).sum())
    if wrong:
        raise missing_times_error(f"time stamps of which {wrong} are not later than the one before")
    return Times(seconds - seconds[0], "container")
