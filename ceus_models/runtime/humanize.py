"""Sizes, durations and ages as text, and texts from elsewhere as a terminal may show them."""

from __future__ import annotations

from collections.abc import Mapping

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


def clean_text(text: str, longest: int | None = None) -> str:
    """The first `longest` characters of a received text; each unprintable one becomes "?".

    >>> clean_text("no lesions\x07", 40)
    'no lesions?'
    """
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


def clean_lines(text: str) -> str:
    """The same of a text of several lines, which stay apart."""
    return "\n".join(map(clean_text, text.split("\n")))


def is_printable(value: object, newlines: bool = False) -> bool:
    """Whether a value of JSON holds no control character: none can move a cursor, or hide a line of a terminal.

    >>> is_printable({"site": ["a\\x1b[2J"]}), is_printable(["a\\nb"]), is_printable(["a\\nb"], newlines=True)
    (False, False, True)
    """
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and not (one.replace("\n", "") if newlines else one).isprintable():
            return False
        if isinstance(one, Mapping):
            left.extend((*one.keys(), *one.values()))
        elif isinstance(one, list | tuple):
            left.extend(one)
    return True
