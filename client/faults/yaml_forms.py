"""The hospital's own YAML files, read into checked types with every fault, its line and its remedy at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ceus_models.runtime.yaml_lines import Key, LinedYaml, LinedYamlError, read_lined_yaml
from client.faults.fault import Fault, FaultList

T = TypeVar("T")
_REASONS = {"site": "bad-site-file", "policy": "bad-policy-file"}
_UNSHOWN = ("missing", "extra_forbidden", "unexpected_keyword_argument", "value_error")


def read_form(path: Path, check: Callable[[Any], T]) -> T:
    """What `check` (a validator of pydantic's) makes of a file. Raises FaultList with every fault and its line."""
    try:
        document = read_lined_yaml(path)
    except LinedYamlError as error:
        remedy = f"compare it with the {path.name} that `ceus-site init` writes"
        raise FaultList([_fault(path, error.line, "", error.rule, "", remedy)]) from None
    faults = list(_repeated(path, document))
    try:
        checked = check(document.values)
    except ValidationError as error:
        raise FaultList(sorted([*faults, *_invalid(path, error, document)], key=lambda f: f.row or 0)) from None
    if faults:
        raise FaultList(faults)
    return checked


def _fault(path: Path, line: int | None, column: str, rule: str, value: str, remedy: str) -> Fault:
    return Fault(path.name, line, column, _REASONS[path.stem], rule, value, remedy)


def _repeated(path: Path, document: LinedYaml) -> Iterator[Fault]:
    for key, line in document.repeated:
        yield _fault(path, line, _dotted(key), "a key stands once", "it twice", "remove one of the two")


def _invalid(path: Path, error: ValidationError, document: LinedYaml) -> Iterator[Fault]:
    shows = f"the {path.name} that `ceus-site init` writes shows"
    for item in error.errors(include_url=False, include_context=False):
        kind, key = item["type"], item["loc"]
        rule = item["msg"].removeprefix("Value error, ")
        value = "" if kind in _UNSHOWN else _brief(item["input"])
        if kind == "missing":
            remedy = f"add the key; {shows} it"
        elif kind in _UNSHOWN[1:3]:
            remedy = "remove the key, or correct its spelling"
        else:
            remedy = f"correct the value; {shows} one"
        yield _fault(path, document.line_of(key), _dotted(key), rule, value, remedy)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dotted(path: Key) -> str:
    return ".".join(map(str, path))
