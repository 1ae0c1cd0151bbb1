"""What one plan changes against another, a line each: `submodels: rounds 2 → 30`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ceus_models.plan.terms.participation import USUAL_SITES

_STAGES, _SIMULATION = "stages", "simulation"
_SETTINGS: Mapping[str, str] = {
    "quorum": "sites in a round",
    "deadlines": "deadlines",
    "processing": "processing",
    "architecture": "nets",
    "software": "required software",
    "given": "given constants",
    "pretrained": "public weights",
    "screening": "screening",
}
_KEYS: Mapping[str, str] = {
    "share": "share of sites",
    "sites": "least sites",
    "level": "privacy level",
    "mu": "µ",
    "proximal_mu": "proximal µ",
    "most_s": "longest answer (s)",
    "first_s": "first answer (s)",
    "gather_s": "time to gather (s)",
    "absent_s": "time to come back (s)",
    "least_s": "shortest limit (s)",
    "fusion_hidden": "hidden units of fusion nets",
    "sharing": "sharing of layers",
    "late": "sites that come later",
}


def list_plan_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare the values of two plans (`Plan.plain`); empty where nothing differs."""
    found = list(_list_stage_changes(old.get(_STAGES, []), new.get(_STAGES, [])))
    found += _compare("", _select_rest(old), _select_rest(new))
    if old.get(_SIMULATION) != new.get(_SIMULATION):
        found.append("settings of simulations, which no hospital takes part in")
    return found


def _select_rest(plan: Mapping[str, Any]) -> dict[str, Any]:
    """All but stages and simulation, with what a plan leaves out where it is as usual."""
    rest = {key: value for key, value in plan.items() if key not in (_STAGES, _SIMULATION)}
    return rest | {"quorum": {"sites": USUAL_SITES, "stages": {}} | dict(rest.get("quorum", {}))}


def _list_stage_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    before, after = ({str(stage["name"]): stage for stage in stages} for stages in (old, new))
    for name, stage in after.items():
        if name not in before:
            yield f"new stage {name} ({_describe_stage(stage)})"
        else:
            yield from (f"{name}: {line}" for line in _compare("", before[name], stage))
    yield from (
        f"stage {name} is gone ({_describe_stage(stage)})" for name, stage in before.items() if name not in after
    )
    common = [name for name in after if name in before]
    if common != [name for name in before if name in after]:
        yield f"order of stages: {', '.join(before)} → {', '.join(after)}"


def _describe_stage(stage: Mapping[str, Any]) -> str:
    rounds = stage.get("rounds")
    return str(stage["stage"]) + (f", {rounds} round{'s' * (rounds != 1)}" if rounds else "")


def _compare(above: str, old: Any, new: Any) -> Iterator[str]:
    """Differences of two values, with the names of the keys above them."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _compare(_join(above, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and set(map(str, old)) != set(map(str, new)):
        more, less = [one for one in new if one not in old], [one for one in old if one not in new]
        yield above + f" + {_format(more)}" * bool(more) + f" − {_format(less)}" * bool(less)
    elif old != new:
        yield f"{above} {_format(old)} → {_format(new)}"


def _join(above: str, key: str) -> str:
    own = (_SETTINGS if not above else {}).get(key) or _KEYS.get(key) or key.replace("_", " ")
    return f"{above}, {own}" if above else own


def _format(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_KEYS.get(k, str(k).replace('_', ' '))} {_format(v)}" for k, v in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_format, value)) or "none"
    return str(value)
