"""YAML with line numbers, and validation errors with their lines."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ceus_models.runtime.errors import Fault, FaultList

MAX_BYTES = 2**20
MAX_DEPTH = 20
MAX_NODES = 20_000
"""Counted after aliases are expanded: a few lines of them can expand to gigabytes."""
MAX_NUMBER = 64
"""Characters of a number: Python takes minutes to multiply out a long one."""
Key = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class YamlWithLines:
    """A YAML document with line numbers.

    Args:
        name: of the file.
        reason: slug of its faults.
        values: plain mappings, lists and scalars.
        lines: path of keys → line (1-based).
        repeated: a fault for every key that occurs twice.
    """

    name: str
    reason: str
    values: Any
    lines: dict[Key, int]
    repeated: tuple[Fault, ...] = ()

    def found(self, path: Key) -> Key:
        """The parts of a path that are in the file; a validator adds tags that are not."""
        kept: Key = ()
        for part in path:
            kept = (*kept, part) if (*kept, part) in self.lines else kept
        return kept

    def line_of(self, path: Key) -> int:
        """The line of a path, or of its nearest parent in the file."""
        known = (path[:size] for size in range(len(path), -1, -1) if path[:size] in self.lines)
        return self.lines[next(known, ())] if self.lines else 1

    def error(self, faults: Iterable[Fault]) -> FaultList:
        """The faults with their lines, in the order of the file."""
        placed = {self._placed(fault, self.found(fault.key)) for fault in faults}
        return FaultList(sorted(placed, key=lambda fault: (fault.row or 0, fault.column, fault.rule)))

    def _placed(self, fault: Fault, found: Key) -> Fault:
        dot = "." if found and fault.column and not fault.column.startswith("[") else ""
        column = f"{format_key(found)}{dot}{fault.column}"
        return replace(fault, file=self.name, row=self.line_of(found), column=column, reason=self.reason, key=())


def read_yaml_with_lines(path: Path, reason: str) -> YamlWithLines:
    """Read a small YAML file of plain values; `reason` is the slug of its faults. Raises FaultList."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        rule, remedy = "the file exists and can be read", "correct the file, or give another one"
        raise FaultList([Fault(path.name, None, "", reason, rule, error.strerror or "", remedy)]) from None
    return parse_yaml_with_lines(content, path.name, reason)


def parse_yaml_with_lines(content: bytes, name: str, reason: str) -> YamlWithLines:
    """Parse YAML of any origin within the same bounds; `name` is the file's in faults. Raises FaultList."""
    try:
        if len(content) > MAX_BYTES:
            raise _BrokenRule(f"the file has at most {MAX_BYTES // 1024} KiB")
        return _parse_yaml(content.decode("utf-8-sig"), name, reason)
    except UnicodeDecodeError:
        rule, line, found = "the file is UTF-8", None, "other bytes"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        rule, line, found = "the file is YAML", None if mark is None else mark.line + 1, error.problem or "other syntax"
    except _BrokenRule as error:
        rule, line, found = str(error), error.line, "more"
    except (yaml.YAMLError, RecursionError, ValueError):
        rule, line, found = "the file is plain YAML", None, "something else"
    remedy = "correct the file, or give another one"
    raise FaultList([Fault(name, line, "", reason, rule, found, remedy)]) from None


def validate_document(document: YamlWithLines, check: Callable[[Any], T], example: str = "") -> T:
    """Validate the values of a file.

    Args:
        document: the file.
        check: a validator of pydantic.
        example: file or document with a valid example.

    Raises:
        FaultList: every fault of the file, with its line.
    """
    try:
        form = check(document.values)
    except ValidationError as error:
        raise document.error([*document.repeated, *list_faults(error, example=example)]) from None
    if document.repeated:
        raise document.error(document.repeated)
    return form


def make_fault_at(key: Key, rule: str, value: str = "", remedy: str = "", missing: str = "") -> Fault:
    """A fault at a path of keys; `missing` is the key that is missing below `key`."""
    return Fault("", None, missing, "", rule, value, remedy, key)


def list_faults(error: ValidationError, above: Key = (), example: str = "") -> Iterator[Fault]:
    """Convert errors of pydantic to faults: what was expected, what was found, the fix.

    Args:
        error: of a validation.
        above: path of the validated values in their file.
        example: file or document with a valid example.
    """
    shows = f"; {example} shows one" if example else ""
    for item in error.errors(include_url=False):
        kind, key = item["type"], (*above, *item["loc"])
        if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
            yield make_fault_at(key[:-1], "missing key", remedy=f"add it{shows}", missing=format_key(key[-1:]))
        elif kind in ("unexpected_keyword_argument", "extra_forbidden"):
            yield make_fault_at(key, "unknown key", remedy="delete it, or correct its spelling")
        elif kind == "union_tag_not_found":
            remedy = "add it: it says which kind this is"
            yield make_fault_at(key, "missing key", remedy=remedy, missing=item["ctx"]["discriminator"].strip("'"))
        elif kind == "union_tag_invalid":
            place = (*key, item["ctx"]["discriminator"].strip("'"))
            yield make_fault_at(place, f"one of {item['ctx']['expected_tags']}", repr(item["ctx"]["tag"]), "correct it")
        elif kind == "value_error":
            rule, _, remedy = item["msg"].removeprefix("Value error, ").partition("; ")
            yield make_fault_at(key, rule, remedy=remedy or f"correct the value{shows}")
        elif kind != "too_short" or not item["input"]:  # else only its items are faulty, which is said already
            yield make_fault_at(key, item["msg"], _shorten(item["input"]), f"correct the value{shows}")


def format_key(key: Key) -> str:
    """Format a path of keys.

    >>> format_key(("stages", 2, "rule", "epochs"))
    'stages[2].rule.epochs'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def _shorten(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


class _BrokenRule(Exception):
    """A rule that a file breaks, with its line (1-based), None for the whole file."""

    def __init__(self, rule: str, line: int | None = None) -> None:
        super().__init__(rule)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number; PyYAML (YAML 1.1) reads it as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)

# PyYAML reads 18:00 as 1080, a number in base 60; this loader reads it as text
_CLOCK = ("tag:yaml.org,2002:str", re.compile(r"^\d{1,2}:\d{2}$"))
_Loader.yaml_implicit_resolvers = {
    first: [_CLOCK, *others] if first in "0123456789" else others
    for first, others in _Loader.yaml_implicit_resolvers.items()
}


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def _parse_yaml(text: str, name: str, reason: str) -> YamlWithLines:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlWithLines(name, reason, {}, {(): 1})
        places = list(itertools.islice(_iterate_lines(root, ()), MAX_NODES + 1))
        if len(places) > MAX_NODES:
            raise _BrokenRule(f"the file has at most {MAX_NODES} values")
        values = loader.construct_document(root)
    finally:
        loader.dispose()
    lines: dict[Key, int] = {}
    repeated = []
    for path, line in places:
        if path in lines:
            repeated.append(
                make_fault_at(path, "a key stands once", f"it again on line {line}", "delete one of the two")
            )
        lines.setdefault(path, line)
    return YamlWithLines(name, reason, values, lines, tuple(repeated))


def _iterate_lines(node: yaml.Node, path: Key) -> Iterator[tuple[Key, int]]:
    if len(path) > MAX_DEPTH:
        raise _BrokenRule(f"the file has at most {MAX_DEPTH} levels", node.start_mark.line + 1)
    if not path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > MAX_NUMBER:
        raise _BrokenRule(f"a number has at most {MAX_NUMBER} characters", node.start_mark.line + 1)
    for key, line, child in _iterate_children(node):
        yield (*path, key), line
        yield from _iterate_lines(child, (*path, key))


def _iterate_children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):  # aliases in it would be expanded before they are counted
                raise _BrokenRule("a key is one word", key.start_mark.line + 1)
            if key.tag in _NUMBERS and len(key.value) > MAX_NUMBER:
                raise _BrokenRule(f"a number has at most {MAX_NUMBER} characters", key.start_mark.line + 1)
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child
