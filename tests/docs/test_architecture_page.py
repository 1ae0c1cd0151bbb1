"""docs/architecture.md names only what exists, and its drawing is that of the import rules."""

from __future__ import annotations

import re
from pathlib import Path

from architecture_drawing import DRAWING, drawing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_drawing_is_that_of_the_import_rules() -> None:
    assert DRAWING.read_text(encoding="utf-8") == drawing(), "run: python tests/support/architecture_drawing.py"


def test_every_path_that_it_names_is_there() -> None:
    named = set(
        re.findall(r"`((?:ceus_models|client|server|sim|configs|docs|tests|docker|benchmarks)/[\w./-]*)`", PAGE)
    )
    assert len(named) > 40
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_a_bare_module_lies_in_the_folder_named_before_it() -> None:
    """`folder/a.py` → `b.py`: b lies in that folder."""
    found = 0
    for line in PAGE.splitlines():
        folder = Path()
        for name in re.findall(r"`([\w/]+\.py)(?:::\w+)?`", line):
            if name.split("/")[0] in ("ceus_models", "client", "server", "sim", "tests"):
                folder = ROOT / Path(name).parent
            else:
                assert (folder / name).exists(), (line, name)
                found += 1
    assert found > 15


def test_every_definition_that_it_names_is_there() -> None:
    """`path.py::name` in the table of changes."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) >= 8
    for path, name in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:def|class) {name}\b|^{name}\b\s*[:=]|^type {name}\b", text, re.MULTILINE), (path, name)
