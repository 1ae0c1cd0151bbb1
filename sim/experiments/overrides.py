"""A plan's values with some of them set anew, by path: what one arm of an experiment changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import Key

_STAGES = "stages"


class OverrideError(ExpectedError):
    """A path that leads nowhere. path: the one."""

    def __init__(self, path: str, text: str) -> None:
        """path: as written · text: rule, value, remedy."""
        super().__init__(text)
        self.path = path


def overridden(values: Mapping[str, Any], drop: Sequence[str], sets: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a plan's values without the stages `drop`, in which each path of `sets` has its new value.

    A path is keys joined by dots; a stage stands by its name: `stages.submodels.rule.epochs`. The value replaces what
    was there, a mapping as a whole. Unknown keys are left to the plan's own check. Raises OverrideError.
    """
    changed = copy.deepcopy(dict(values))
    for name in drop:
        index = _index(changed.get(_STAGES), name, name)
        del changed[_STAGES][index]
    for path, value in sets.items():
        _set(changed, path, value)
    return changed


def place_of(values: Mapping[str, Any], path: str) -> Key:
    """Where a path leads, with the stage's index in place of its name. Raises OverrideError as `overridden`."""
    parts = path.split(".")
    if parts[0] != _STAGES:
        return tuple(parts)
    return (_STAGES, _index(values.get(_STAGES), parts[1] if len(parts) > 1 else "", path), *parts[2:])


def dotted(values: Mapping[str, Any], place: Key) -> str:
    """A place as it is written in a path: the opposite of `place_of`."""
    named = list(place)
    if len(place) > 1 and place[0] == _STAGES:
        named[1] = dict(enumerate(_names(values[_STAGES]))).get(int(place[1]), place[1])
    return ".".join(map(str, named))


def within(values: Mapping[str, Any], place: Key) -> Key:
    """A place without the parts that are not there: a validator's own tags, and what is missing."""
    kept: Key = ()
    here: Any = values
    for part in place:
        there = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
        if there:
            kept, here = (*kept, part), here[part]
    return kept


def parsed(settings: Sequence[str]) -> dict[str, Any]:
    """`path=value` as the command line has them, values read as YAML. Raises ExpectedError."""
    found: dict[str, Any] = {}
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign or not path:
            raise ExpectedError(f"a setting is PATH=VALUE, as stages.submodels.rounds=4, not {setting!r}")
        try:
            found[path] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ExpectedError(f"the value of {path} is YAML, which {text!r} is not") from None
    return found


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    place = place_of(values, path)
    if place[0] == _STAGES and len(place) < 3:
        raise OverrideError(path, "a setting is one key of a stage, stages.NAME.KEY; leave a stage out with drop")
    here: Any = values
    for part in place[:-1]:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
        if not isinstance(here, dict | list):
            raise OverrideError(path, f"{part} is a value in the plan and holds no further keys; set it as a whole")
    here[place[-1]] = value


def _index(stages: Any, name: str, path: str) -> int:
    names = list(_names(stages if isinstance(stages, list) else []))
    if name not in names:
        raise OverrideError(path, f"the plan has no stage {name!r}; its stages are {', '.join(names)}")
    return names.index(name)


def _names(stages: Sequence[Any]) -> Iterator[str]:
    return (str(stage.get("name", stage.get("stage"))) if isinstance(stage, dict) else "" for stage in stages)
