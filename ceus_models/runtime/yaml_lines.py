"""YAML with line numbers, for the error messages of plans and `site.yaml`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**20
MAX_DEPTH = 20
MAX_NODES = 20_000
"""Counted after aliases are expanded: a few lines of them can expand to gigabytes."""
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class LinedYaml:
    """A YAML document with line numbers.

    Args:
        values: plain mappings, lists and scalars.
        lines: path of keys → line (1-based).
        repeated: (path, line) of keys that occur twice.
    """

    values: Any
    lines: dict[Key, int]
    repeated: tuple[tuple[Key, int], ...]

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


class LinedYamlError(Exception):
    """The file is not valid; `rule` says what must hold, `line` (1-based or None) where it does not."""

    def __init__(self, rule: str, line: int | None = None) -> None:
        """Keep the rule and the line."""
        super().__init__(rule)
        self.rule = rule
        self.line = line


def read_lined_yaml(path: Path) -> LinedYaml:
    """Read a small YAML file of plain values. Raises LinedYamlError with the rule that it breaks."""
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise LinedYamlError(f"the file has at most {MAX_BYTES // 1024} KiB")
        return _lined(content.decode("utf-8-sig"))
    except OSError:
        raise LinedYamlError("the file exists and can be read") from None
    except UnicodeDecodeError:
        raise LinedYamlError("the file is UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise LinedYamlError(f"the file is YAML ({error.problem or 'syntax'})", line) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise LinedYamlError("the file is plain YAML") from None


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


def _lined(text: str) -> LinedYaml:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return LinedYaml({}, {(): 1}, ())
        places = list(itertools.islice(_places(root, ()), MAX_NODES + 1))
        if len(places) > MAX_NODES:
            raise LinedYamlError(f"the file has at most {MAX_NODES} values")
        values = loader.construct_document(root)
    finally:
        loader.dispose()
    lines: dict[Key, int] = {}
    repeated = []
    for path, line in places:
        if path in lines:
            repeated.append((path, line))
        lines.setdefault(path, line)
    return LinedYaml(values, lines, tuple(repeated))


def _places(node: yaml.Node, path: Key) -> Iterator[tuple[Key, int]]:
    if len(path) > MAX_DEPTH:
        raise LinedYamlError(f"the file has at most {MAX_DEPTH} levels", node.start_mark.line + 1)
    if not path:
        yield path, node.start_mark.line + 1
    for key, line, child in _children(node):
        yield (*path, key), line
        yield from _places(child, (*path, key))


def _children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child
