"""Sizes as a person reads them (spans of time: test_progress.py)."""

from __future__ import annotations

import pytest

from ceus_models.runtime.humanize import format_size


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 kB"), (5_500_000, "5.2 MB"), (3 << 30, "3.0 GB")],
)
def test_sizes(count: int, told: str) -> None:
    assert format_size(count) == told
