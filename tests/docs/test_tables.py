"""Every table of the documentation renders whole: each row has the columns of its head, no blank line cuts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docker").rglob("*.md")])
RULE = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")


def count_cells(row: str) -> int:
    """Cells of a row as GitHub counts them: a bar ends one, unless a backslash stands before it."""
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def list_text(page: str) -> list[tuple[int, str]]:
    """Line numbers and lines, without those of code blocks."""
    found, inside = [], False
    for number, line in enumerate(page.splitlines(), start=1):
        fence = line.lstrip().startswith("```")
        inside ^= fence
        if not inside and not fence:
            found.append((number, line.rstrip()))
    return found


def list_faults(page: str) -> Iterator[str]:
    lines = list_text(page)
    columns = 0
    for place, (number, line) in enumerate(lines):
        if not line.lstrip().startswith("|"):
            columns = 0
            continue
        row = line.strip()
        following = lines[place + 1][1].strip() if place + 1 < len(lines) else ""
        if not columns and not RULE.fullmatch(following):
            yield f"line {number}: a row without a head; delete the blank line before it, or add the head"
            continue
        columns = columns or count_cells(row)
        if not row.endswith("|") or count_cells(row) != columns:
            yield f"line {number}: {count_cells(row)} cells in a table of {columns}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_are_whole(path: Path) -> None:
    assert list(list_faults(path.read_text(encoding="utf-8"))) == []


def test_broken_tables_are_found() -> None:
    head = "| a | b |\n|---|---|\n"
    assert list(list_faults(f"{head}| 1 | `x \\| y` |\n\n```\n| no table |\n```\n")) == []
    assert "line 5: a row without a head" in next(list_faults(f"{head}| 1 | 2 |\n\n| 3 | 4 |\n"))
    assert "line 3: 3 cells in a table of 2" in next(list_faults(f"{head}| 1 | x | y |\n"))
    assert "line 3: 1 cells in a table of 2" in next(list_faults(f"{head}| 1 |\n"))
    assert "line 2: a row without a head" in next(list_faults("text\n| 1 | 2 |\n"))


def test_pages_with_tables_are_read() -> None:
    tables = [path.name for path in PAGES if re.search(r"(?m)^\|---", path.read_text(encoding="utf-8"))]
    assert {"site.md", "coordinator.md", "operations.md", "README.md", "promises.md"} <= set(tables)
