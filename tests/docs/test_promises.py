"""docs/promises.md names only what exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")


def test_every_test_benchmark_and_file_that_it_names_is_there() -> None:
    tests = set(re.findall(r"`(tests/[\w/]*test_\w+\.py)`", PAGE))
    assert len(tests) > 30
    assert [name for name in tests if not (ROOT / name).exists()] == []
    benchmarks = set(re.findall(r"`benchmarks\.(\w+)`", PAGE))
    assert [name for name in benchmarks if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


def test_what_it_calls_slow_is_slow() -> None:
    for name in set(re.findall(r"`(tests/[\w/]*test_\w+\.py)` \(slow", PAGE)):
        assert "pytest.mark.slow" in (ROOT / name).read_text(encoding="utf-8"), name
