"""Differences of two plans: a line each by stage and field, nothing hidden, nothing where nothing differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ceus_models.plan.plan import load_plan, parse_plan
from ceus_models.plan.words.plan_changes import list_plan_changes

CONFIGS = Path(__file__).parents[4] / "configs"
TEXT = """
name: liver
stages:
  - {stage: hello}
  - {stage: statistics}
  - {stage: train, name: submodels, nets: [submodels], cohorts: [training_a], rounds: 2}
  - {stage: train, name: fusion, nets: [fusion], cohorts: [training_b], rounds: 20}
  - {stage: evaluate, name: test, nets: [fusion], cohorts: [training_a, training_b]}
"""


def values(text: str) -> dict[str, Any]:
    plan, faults = parse_plan(yaml.safe_load(text))
    assert plan is not None, faults
    return plan.plain()


def changed(old: str, new: str) -> list[str]:
    assert old in TEXT
    return list_plan_changes(values(TEXT), values(TEXT.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rounds: 2}", "rounds: 30}", ["submodels: rounds 2 → 30"]),
        ("name: test,", "name: test, level: sums,", ["test: privacy level none → sums"]),
        ("name: liver", "name: lung", ["name liver → lung"]),
        ("name: liver", "name: liver\nquorum: {share: 0.5}", ["sites in a round, share of sites 0.8 → 0.5"]),
        ("name: liver", "name: liver\nquorum: {sites: 2}", ["sites in a round, least sites 3 → 2"]),
        ("name: liver", "name: liver\nsoftware: {fedceus: '9'}", ["required software none → fedceus 9, package none"]),
        ("name: liver", "name: liver\nprocessing: {size: 64}", ["processing, size 112 → 64"]),
        ("[training_a, training_b]", "[training_b]", ["test: cohorts − training_a"]),
        ("[training_a, training_b]", "[training_b, training_a]", [
            "test: cohorts training_a, training_b → training_b, training_a"
        ]),
        ("rounds: 2}", "rounds: 2, rule: {epochs: 3, clip: 5}}", [
            "submodels: rule, clip none → 5", "submodels: rule, epochs 1 → 3"
        ]),
        ("rounds: 2}", "rounds: 2, validate: {every: 1}}", [
            "submodels: validate none → cohorts validation, every 1"
        ]),
        ("name: liver", "name: liver\nsimulation: {centers: all}", [
            "settings of simulations, which no hospital takes part in"
        ]),
    ],
)  # fmt: skip
def test_a_change_is_said_by_stage_and_field(old: str, new: str, said: list[str]) -> None:
    assert changed(old, new) == said


def test_stages_that_come_and_go_and_change_places() -> None:
    lines = TEXT.strip().splitlines()
    without = "\n".join(line for line in lines if "name: test" not in line)
    assert list_plan_changes(values(without), values(TEXT)) == ["new stage test (evaluate)"]
    assert list_plan_changes(values(TEXT), values(without)) == ["stage test is gone (evaluate)"]
    more = TEXT + "  - {stage: train, name: again, nets: [submodels], cohorts: [training_a], rounds: 1}\n"
    assert list_plan_changes(values(TEXT), values(more)) == ["new stage again (train, 1 round)"]
    plain = values(TEXT)
    turned = {**plain, "stages": [*plain["stages"][:3], plain["stages"][4], plain["stages"][3]]}
    assert list_plan_changes(plain, turned) == [
        "order of stages: hello, statistics, submodels, fusion, test → hello, statistics, submodels, test, fusion"
    ]


def test_every_setting_of_a_stage_shows_where_it_differs() -> None:
    """Nothing that a coordinator changes is left out: each leaf of the plan in turn."""
    plain = load_plan(CONFIGS / "plan.paper.yaml").plain()
    leaves = list(list_leaves(plain))
    assert len(leaves) > 80
    for path in leaves:
        assert list_plan_changes(plain, replaced(plain, path)), path


def list_leaves(value: Any, above: tuple[Any, ...] = ()) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield above
        return
    for key, one in pairs:
        yield from list_leaves(one, (*above, key))


def replaced(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return f"not {value}"
    made = dict(value) if isinstance(value, dict) else list(value)
    made[path[0]] = replaced(value[path[0]], path[1:])
    return made


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("plan.*.yaml")), ids=lambda path: path.stem)
def test_nothing_differs_from_itself(path: Path) -> None:
    assert list_plan_changes(load_plan(path).plain(), load_plan(path).plain()) == []
