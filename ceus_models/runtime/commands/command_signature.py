"""A command as its help needs it: options and words, taken from the source without what its body imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

FIRST_PARTY = ("ceus_models", "client", "server", "sim")
_FUTURE = ast.parse("from __future__ import annotations").body
_CALLED = ast.parse("raise NotImplementedError('this command was read for its help alone')").body


def parse_module(module: str) -> ast.Module:
    """The source of a module that is not imported."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_bytes())


def load_signature(module: str, attribute: str) -> Any:
    """The function, or typer application with its commands, of that name; no command has its body.

    Of the module, and of our modules that it imports, only that is run which the options name.
    """
    statements = parse_module(module).body
    commands = [node for node in statements if isinstance(node, ast.FunctionDef) and _is_command(node, attribute)]
    for command in commands:
        said = [node for node in command.body[:1] if ast.get_docstring(command) is not None]
        command.body = [*said, *_CALLED]
    return _run(module, statements, {attribute, *(command.name for command in commands)})[attribute]


def _run(module: str, statements: list[ast.stmt], wanted: set[str]) -> dict[str, Any]:
    """The names of a module after the statements that give the wanted ones their values, and all that these take."""
    while more := {name for node in statements if wanted & _list_bound(node) for name in _list_names(node)} - wanted:
        wanted |= more
    found = ModuleType(module).__dict__
    chosen = []
    for node in (_keep(node, wanted) for node in statements if wanted & _list_bound(node)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in FIRST_PARTY:
            found |= {alias.asname or alias.name: _import_ours(str(node.module), alias.name) for alias in node.names}
        else:
            chosen.append(node)
    exec(compile(ast.Module([*_FUTURE, *chosen], []), f"<options of {module}>", "exec"), found)
    return found


def _import_ours(module: str, name: str) -> Any:
    statements = parse_module(module).body
    if not any(name in _list_bound(node) for node in statements):
        return import_module(f"{module}.{name}")
    return _run(module, statements, {name})[name]


def _is_command(node: ast.FunctionDef, attribute: str) -> bool:
    """Whether it is that function, or one that a decorator adds to that application."""
    return node.name == attribute or any(attribute in _list_names(decorator) for decorator in node.decorator_list)


def _list_bound(node: ast.stmt) -> set[str]:
    """The names that a statement of a module gives a value."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {_name_import(alias) for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    return set()


def _list_names(node: ast.AST) -> Iterator[str]:
    """The names that it takes the value of."""
    return (name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load))


def _keep(node: ast.stmt, wanted: set[str]) -> ast.stmt:
    """An import with no more than what is wanted of it; anything else as it is."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        node.names = [alias for alias in node.names if _name_import(alias) in wanted]
    return node


def _name_import(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]
