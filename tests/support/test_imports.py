"""Names that tests and benchmarks import or patch exist, also in files that the default suite does not run."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("ceus_models", "client", "server", "sim", "tests", "benchmarks")
FILES = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")])
PATCHED = re.compile(r'setattr\(\s*"((?:ceus_models|client|server|sim)\.[\w.]+)"')


@cache
def names_of(module: str) -> frozenset[str] | None:
    """What a module or package of ours binds at its top level; None where there is no such module."""
    path = ROOT / module.replace(".", "/")
    if path.is_dir() and not (path / "__init__.py").exists():
        return frozenset(p.stem for p in path.iterdir())
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        return None
    names = {p.stem for p in path.iterdir()} if path.is_dir() else set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def resolve(path: str) -> bool:
    """Whether a dotted path leads to a module of ours, or to a name in one; attributes of a class are not followed."""
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        known = names_of(".".join(parts[:size]))
        if known is not None:
            return size == len(parts) or parts[size] in known
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_are_imported_or_patched_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS
        for alias in node.names
    }
    assert [name for name in sorted(named | set(PATCHED.findall(text))) if not resolve(name)] == []


def test_a_name_that_is_gone_is_found() -> None:
    assert resolve("client.data.dataset.index.build_index")
    assert not resolve("client.data.dataset.index.index")
