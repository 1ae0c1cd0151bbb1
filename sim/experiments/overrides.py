"""Overrides of a plan's values by path, for the arms of an experiment."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.runtime.yaml_lines import Key, parse_yaml_with_lines

_STAGES = "stages"


class OverrideError(ExpectedError):
    """An override that the plan does not allow; `path` is its path."""

    def __init__(self, path: str, text: str) -> None:
        """Keep the path beside the text."""
        super().__init__(text)
        self.path = path


def apply_overrides(values: Mapping[str, Any], drop: Sequence[str], sets: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a plan's values without the stages `drop` and with the values of `sets`.

    A path is keys joined by dots, with a stage by its name: `stages.submodels.rule.epochs`. A value replaces the old
    one as a whole. The plan itself checks unknown keys later. Raises OverrideError.

    >>> apply_overrides({"stages": [{"name": "train", "rounds": 8}]}, (), {"stages.train.rounds": 4})
    {'stages': [{'name': 'train', 'rounds': 4}]}
    """
    changed = copy.deepcopy(dict(values))
    for name in drop:
        index = _find_stage(changed.get(_STAGES), name, name)
        del changed[_STAGES][index]
    for path, value in sets.items():
        _set_value(changed, path, value)
    return changed


def resolve_path(values: Mapping[str, Any], path: str) -> Key:
    """The keys of a path, with a stage's index for its name. Raises OverrideError as `apply_overrides`."""
    parts = path.split(".")
    if parts[0] != _STAGES:
        return tuple(parts)
    return (_STAGES, _find_stage(values.get(_STAGES), parts[1] if len(parts) > 1 else "", path), *parts[2:])


def format_path(values: Mapping[str, Any], place: Key) -> str:
    """The path of some keys, the inverse of `resolve_path`."""
    named = list(place)
    if len(place) > 1 and place[0] == _STAGES:
        named[1] = dict(enumerate(_list_stage_names(values[_STAGES]))).get(int(place[1]), place[1])
    return ".".join(map(str, named))


def trim_path(values: Mapping[str, Any], place: Key) -> Key:
    """The keys that exist in `values`; a validator adds tags and names missing keys."""
    kept: Key = ()
    here: Any = values
    for part in place:
        there = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
        if there:
            kept, here = (*kept, part), here[part]
    return kept


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Parse settings of the command line, values as YAML. Raises ExpectedError.

    >>> parse_settings(["stages.submodels.rounds=4"])
    {'stages.submodels.rounds': 4}
    """
    found: dict[str, Any] = {}
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign or not path:
            raise ExpectedError(f"expected PATH=VALUE as stages.submodels.rounds=4, found {setting!r}")
        try:
            found[path] = parse_yaml_with_lines(text.encode(), path, "bad-setting").values if text.strip() else None
        except FaultList:
            raise ExpectedError(f"expected a value in YAML for {path}, found {text!r}") from None
    return found


def _set_value(values: dict[str, Any], path: str, value: Any) -> None:
    place = resolve_path(values, path)
    if place[0] == _STAGES and len(place) < 3:
        raise OverrideError(path, "expected one key of a stage, stages.NAME.KEY; use drop to leave a stage out")
    here: Any = values
    for part in place[:-1]:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        if not isinstance(here, dict | list):
            raise OverrideError(path, f"expected {part} to have keys, the plan has a value; set it as a whole")
    here[place[-1]] = value


def _find_stage(stages: Any, name: str, path: str) -> int:
    names = list(_list_stage_names(stages if isinstance(stages, list) else []))
    if name not in names:
        raise OverrideError(path, f"expected a stage of the plan, found {name!r}; use one of {', '.join(names)}")
    return names.index(name)


def _list_stage_names(stages: Sequence[Any]) -> Iterator[str]:
    return (str(stage.get("name", stage.get("stage"))) if isinstance(stage, dict) else "" for stage in stages)
