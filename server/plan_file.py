"""A plan file's values, and the line on which each of them stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ceus_models.failures import ExpectedError

Place = Sequence[int | str]


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where: the place is a path of keys and indices."""

    place: tuple[int | str, ...]
    text: str


class PlanError(ExpectedError):
    """All faults of a plan file, one a line, in the order of the file."""


@dataclass(frozen=True, eq=False)
class PlanFile:
    """path · root: the YAML nodes, for lines · values: plain values."""

    path: Path
    root: yaml.Node
    values: Any

    def as_json(self) -> str:
        """The values as JSON; what JSON has no form for (a date) becomes text."""
        return json.dumps(self.values, default=str)

    def error(self, faults: Sequence[Fault]) -> PlanError:
        """One error that tells all faults with file and line."""
        lined = sorted({(*self._found(fault.place), fault.text) for fault in faults})
        return PlanError("\n".join(f"{self.path}:{line}: {place}{text}" for line, place, text in lined))

    def repeated(self) -> list[Fault]:
        """Keys that stand twice in the same mapping; YAML would silently take the last."""
        return [
            Fault(place, f"the key stands twice (again on line {line}); delete one")
            for place, line in _repeated(self.root, ())
        ]

    def _found(self, place: Place) -> tuple[int, str]:
        """The line of a place and how it is written; parts that are not in the file (pydantic's tags) are left out."""
        node, line, parts = self.root, 1, ""
        for part in place:
            found = next((pair for pair in _children(node) if pair[0] == part), None)
            if found is not None:
                _, line, node = found
                parts += f"[{part}]" if isinstance(part, int) else f".{part}"
        return line, f"{parts.lstrip('.')}: " if parts else ""


def read_plan_file(path: Path) -> PlanFile:
    """Read YAML with the floats of YAML 1.2, so that 1e-3 is a number.

    Raises PlanError if the file cannot be read or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read ({type(error).__name__}); give the path of a plan in UTF-8") from None
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        values = loader.construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise PlanError(f"{path}:{line}: this is not YAML ({getattr(error, 'problem', 'syntax')})") from None
    finally:
        loader.dispose()
    if root is None or not isinstance(values, dict):
        raise PlanError(f"{path}:1: a plan is a mapping with the keys name, quorum, stages …")
    return PlanFile(path, root, values)


class _Loader(yaml.SafeLoader):
    """PyYAML reads 1e-3 as text (YAML 1.1); this one reads it as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _children(node: yaml.Node) -> Iterator[tuple[int | str, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield str(key.value), key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child


def _repeated(node: yaml.Node, place: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], int]]:
    seen = set()
    for key, line, child in _children(node):
        if key in seen:
            yield (*place, key), line
        seen.add(key)
        yield from _repeated(child, (*place, key))
