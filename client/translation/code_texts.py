"""The texts in a module's source, as templates: each value is {0}, {1} … by its place.

A text is a constant or an f-string with two words or more. What is chosen within it (`'s' if n != 1 else ''`) gives one
template for each choice. Left out are docstrings, help, annotations, regular expressions and what is logged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from client.translation.matcher import split_clauses
from client.translation.shown import PAGES, TITLED

_TWO_WORDS = re.compile(r"[A-Za-z]{2,}[,:;)]? \(?[A-Za-z]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
_MARKUP = re.compile(r"\[/?[a-z ]*\]|`[^`]*`|\{\d+\}|https?://\S+")
_FIELD = re.compile(r"\{[\w:.%]*\}")  # of str.format
_KEY = re.compile(r"\w*[_.]\w+")
_SILENT_CALLS = ("Option", "Argument", "Typer", "compile", "told", "log_event", "getLogger", "TypeVar", "StrEnum")
_MOST_CHOICES = 8

_HOLE = "\0"
"""Stands for a value until the values are numbered."""


def list_texts(path: Path) -> Iterator[str]:
    """The templates of a module, in their order, some of them several times."""
    yield from _Texts().read(ast.parse(path.read_bytes()))


class _Texts:
    def read(self, node: ast.AST, alone: bool = False) -> Iterator[str]:
        """alone: whether one word is a text here."""
        if _is_silent(node):
            return
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            for part in node.value.elts:
                yield from self.read(part, True)
            return
        if _is_text(node):
            assert isinstance(node, ast.expr)
            yield from self._read_text(node, alone)
            return
        for child in _children(node):
            yield from self.read(child, _is_title(node, child))

    def _read_text(self, node: ast.expr, alone: bool) -> Iterator[str]:
        for whole in _expand(node):
            yield from as_templates(whole, alone)
        for hole in _holes(node):
            yield from self.read(hole)


def as_templates(text: str, alone: bool = False) -> Iterator[str]:
    """The clauses of a text that has words of its own, with their values numbered."""
    for line in text.split("\n"):
        for clause in split_clauses(line.strip()):
            template = _number(clause.strip())
            bare = _MARKUP.sub(" ", template)
            if (_TWO_WORDS.search(bare) or (_WORD.search(bare) and (alone or " " in clause or clause != line))) and (
                _WORD.search(bare) and not _KEY.fullmatch(template)
            ):
                yield template


def _number(clause: str) -> str:
    pieces = clause.split(_HOLE)
    return "".join(piece + (f"{{{place}}}" if place < len(pieces) - 1 else "") for place, piece in enumerate(pieces))


def _expand(node: ast.expr) -> Iterable[str]:
    """The text with a hole for each value, once for each choice of words within it."""
    if isinstance(node, ast.Constant):
        return [_FIELD.sub(_HOLE, node.value)] if isinstance(node.value, str) else [_HOLE]
    if isinstance(node, ast.JoinedStr):
        parts = [_expand(part) for part in node.values]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _is_choice(node):
        return [*_expand(node.left), ""]
    elif isinstance(node, ast.BinOp):
        parts = [_expand(node.left), _expand(node.right)]
    elif isinstance(node, ast.FormattedValue) and _is_choice(node.value):
        return _expand(node.value)
    elif _is_choice(node):
        assert isinstance(node, ast.IfExp)
        return [*_expand(node.body), *_expand(node.orelse)]
    else:
        return [_HOLE]
    return ["".join(chosen) for _, chosen in zip(range(_MOST_CHOICES), product(*parts), strict=False)]


def _holes(node: ast.expr) -> Iterator[ast.AST]:
    """What stands in the place of values, and may hold texts itself."""
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from _holes(part)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield node.right
    elif isinstance(node, ast.BinOp):
        yield from (*_holes(node.left), *_holes(node.right))
    elif isinstance(node, ast.FormattedValue):
        yield from () if _is_choice(node.value) else [node.value]
    elif _is_choice(node):
        assert isinstance(node, ast.IfExp)
        yield from (*_holes(node.body), *_holes(node.orelse), node.test)
    elif not isinstance(node, ast.Constant):
        yield node


def _is_title(node: ast.AST, child: ast.AST) -> bool:
    """Whether one word is shown by itself there: a heading, a label before what holds, the name of a check."""
    if isinstance(node, ast.Call):
        if _name_of(node.func) in PAGES and isinstance(child, ast.Constant):
            return str(child.value)[:1].isupper()
        return _name_of(node.func) in TITLED and child is not node.func
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        return child is node.elts[0] and isinstance(node.elts[1], ast.Lambda | ast.Attribute)
    return False


def _is_choice(node: ast.AST) -> bool:
    """Between two texts, or between one and none (`"s" * (count > 1)`)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_text(node.left)
    return isinstance(node, ast.IfExp) and all(_is_text(one) or _is_choice(one) for one in (node.body, node.orelse))


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return any(_is_text(one) or _is_choice(one) for one in (node.left, node.right))
    return isinstance(node, ast.JoinedStr)


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.keyword):
        return node.arg in ("help", "pattern")
    if isinstance(node, ast.Call):
        return _name_of(node.func) in _SILENT_CALLS
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Assert)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Without annotations."""
    hidden = {getattr(node, name, None) for name in ("annotation", "returns")}
    return (child for child in ast.iter_child_nodes(node) if child not in hidden)


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
