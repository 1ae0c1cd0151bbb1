"""When something was, so that another process can tell its age.

A wall clock may be set, and another machine's differs, so the difference of two of its times is no age. The kernel's
clock since its start is the same for all processes of a machine and never set; it serves where both times are of one
start. Elsewhere the wall clock is used, and an age below zero is unknown, never zero.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_DIGITS = 8
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts the time asleep, too
_TOLERANCE_S = 5.0  # of two machines' clocks

DOUBTED = "the clock was set back since, or is another machine's"
"""Why an age is unknown."""


@dataclass(frozen=True)
class Moment:
    """A time. at: in seconds since 1970, by a clock that may be set · running: in seconds since the machine's start,
    of which `boot` is the id ("" where only `at` is known).
    """

    at: float
    running: float = 0.0
    boot: str = ""


def read_clock() -> Moment:
    """The time now."""
    return Moment(round(time.time(), 3), round(time.clock_gettime(_CLOCK), 3), _read_boot_id())


def compute_age(then: Moment, now: Moment) -> float | None:
    """Seconds from then to now; None where they are unknown.

    >>> compute_age(Moment(5000.0, 10.0, "a"), Moment(1400.0, 70.0, "a"))
    60.0
    >>> compute_age(Moment(5000.0, 10.0, "a"), Moment(1400.0, 70.0, "b")) is None
    True
    """
    if then.boot and then.boot == now.boot and now.running >= then.running:
        return now.running - then.running
    by_wall = now.at - then.at
    return max(by_wall, 0.0) if by_wall >= -_TOLERANCE_S else None


@cache
def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii")[:_BOOT_DIGITS]
    except OSError:
        return ""
