"""Sizes, durations and ages as text."""

from __future__ import annotations

from ceus_models.runtime.liveness.moment import DOUBTED

_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def format_size(count: int) -> str:
    """A number of bytes with a unit.

    >>> format_size(3_000_000)
    '2.9 MB'
    """
    return next((f"{count / unit:.1f} {name}" for unit, name in _UNITS if count >= unit), f"{count} B")


def format_duration(seconds: float) -> str:
    """A duration with a unit.

    >>> format_duration(75), format_duration(600), format_duration(7200)
    ('75 s', '10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_age(seconds: float | None) -> str:
    """An age, of `compute_age`.

    >>> format_age(75)
    '75 s ago'
    """
    return f"at an unknown time: {DOUBTED}" if seconds is None else f"{format_duration(seconds)} ago"
