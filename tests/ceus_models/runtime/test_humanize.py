"""Sizes as a person reads them (spans of time: test_progress.py)."""

from __future__ import annotations

import pytest

from ceus_models.runtime.humanize import clean_lines, format_size, is_printable


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (5_500_000, "5.2 MB"), (3 << 30, "3.0 GB")],
)
def test_sizes(count: int, told: str) -> None:
    assert format_size(count) == told


def test_lines_stay_apart_and_are_cleaned() -> None:
    assert clean_lines("a\x1b[2J\nb\rc\n") == "a?[2J\nb?c\n"
    assert is_printable({"a": [1, None, True, {"b": "ä"}]})
    assert not is_printable([[["\x00"]]])
