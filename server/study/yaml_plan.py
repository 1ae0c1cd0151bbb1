"""The values of a plan file with their line numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import LinedYaml, LinedYamlError, read_lined_yaml

Place = tuple[int | str, ...]


@dataclass(frozen=True)
class Fault:
    """An error in a plan file. place: path of keys and indices."""

    place: Place
    text: str


class PlanError(ExpectedError):
    """All errors of a plan file, one per line, in the order of the file."""


@dataclass(frozen=True, eq=False)
class PlanFile:
    """A YAML file: its path, and its values with their lines."""

    path: Path
    document: LinedYaml

    @property
    def values(self) -> Any:
        """Plain values."""
        return self.document.values

    def error(self, faults: Sequence[Fault]) -> PlanError:
        """Build one error with all faults, each with file and line."""
        lined = sorted({(*self._found(fault.place), fault.text) for fault in faults})
        return PlanError("\n".join(f"{self.path}:{line}: {place}{text}" for line, place, text in lined))

    def repeated(self) -> list[Fault]:
        """Find keys that occur twice in the same mapping; YAML would silently take the last."""
        return [
            Fault(place, f"a key must occur once, found again on line {line}; delete one")
            for place, line in self.document.repeated
        ]

    def _found(self, place: Place) -> tuple[int, str]:
        """The line of a place, and its keys as text; parts that are not in the file (pydantic's tags) are left out."""
        found = self.document.found(place)
        parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found)
        return self.document.line_of(found) if found else 1, f"{parts.lstrip('.')}: " if parts else ""


def read_plan_file(path: Path) -> PlanFile:
    """Read YAML with the floats of YAML 1.2, so that 1e-3 is a number.

    Raises:
        PlanError: if the file cannot be read or is not a mapping.
    """
    try:
        document = read_lined_yaml(path)
    except LinedYamlError as error:
        place = f"{path}:{error.line}" if error.line else f"{path}"
        raise PlanError(f"{place}: this cannot be read as a plan; {error.rule}") from None
    if not isinstance(document.values, dict) or not document.values:
        raise PlanError(f"{path}:1: a plan must be a mapping with the keys name, quorum, stages …")
    return PlanFile(path, document)
