"""The size gates and the import habits that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ceus_models", "client", "server", "sim")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
NO_NAMES = {"utils", "helpers", "common", "misc", "base", "manager"}
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.AsyncFor, ast.AsyncWith, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def depth(node: ast.AST) -> int:
    """How deep blocks nest below `node`; an `elif` is on the level of its `if`."""
    deepest = 0
    for name, children in ast.iter_fields(node):
        for child in children if isinstance(children, list) else [children]:
            if not isinstance(child, ast.AST) or isinstance(child, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
                continue
            is_elif = isinstance(node, ast.If) and name == "orelse" and isinstance(child, ast.If)
            deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A typer command declares one parameter an option."""
    return function.name.endswith("_command")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_size_gates(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    faults = []
    if len(text.splitlines()) > 300:
        faults.append(f"{len(text.splitlines())} lines; split it by idea at 300")
    for function in functions(tree):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > 60:
            faults.append(f"{function.name}: {lines} lines, 60 allowed")
        if depth(function) > 3:
            faults.append(f"{function.name}: nests {depth(function)} deep, 3 allowed")
        if parameters(function) > 6 and not is_command(function):
            faults.append(f"{function.name}: {parameters(function)} parameters, 6 allowed")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_and_imports(path: Path) -> None:
    assert path.stem not in NO_NAMES, f"{path.stem} says nothing; name the idea"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = [
        ast.unparse(node)
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and _first_party(node)
    ]
    assert not hidden, f"first-party imports inside functions: {hidden}"
    relative = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
    assert not relative, f"relative imports: {relative}"


def _first_party(node: ast.Import | ast.ImportFrom) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return any(name.split(".")[0] in PACKAGES for name in names)


def test_gates_see_what_they_forbid() -> None:
    nested = ast.parse("def f():\n if a:\n  for b in c:\n   while d:\n    if e:\n     pass")
    flat = ast.parse("def f():\n if a:\n  pass\n elif b:\n  pass\n elif c:\n  pass\n elif d:\n  pass")
    assert depth(next(functions(nested))) == 4
    assert depth(next(functions(flat))) == 1
    assert len(MODULES) > 20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_fits_on_a_page(folder: Path) -> None:
    inside = [path for path in folder.iterdir() if path.name not in ("__init__.py", "__pycache__")]
    modules = [path.name for path in inside if path.suffix == ".py"]
    folders = [path.name for path in inside if (path / "__init__.py").exists()]
    assert len(modules) <= 15, f"{len(modules)} modules, 15 allowed: give some of them a folder of their own"
    assert len(folders) <= 10, f"{len(folders)} folders, 10 allowed: gather some of them"
    assert (folder / "__init__.py").exists(), "an __init__.py says in one sentence what the folder holds"


def test_every_module_has_a_docstring() -> None:
    bare = [path.name for path in MODULES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert not bare, bare


def test_shared_test_code_has_one_name() -> None:
    """A module that is imported as `tests.support.<name>` anywhere is imported so everywhere."""
    imported: set[str] = set()
    for path in (path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    shared = {name.removeprefix("tests.support.") for name in imported if name.startswith("tests.support.")}
    assert {"lossy_network", "real_federation"} <= shared
    assert not shared & imported
