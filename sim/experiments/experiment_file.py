"""An experiment as one file: what is varied, what is shown, and what the reference study found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from ceus_models.runtime.yaml_lines import Key, LinedYaml, checked, fault_at
from ceus_models.study.taxonomy import TEST_COHORTS, classifiers_of
from server.study.net_groups import expanded
from server.study.plan import Plan, plan_of, read_plan_file
from server.study.stages import Cohorts, Evaluate
from sim.experiments.overrides import OverrideError, dotted, overridden, place_of, within
from sim.hospital.prepare import simulation_of

FOLDER = Path("configs/experiments")
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
Text = Annotated[str, MinLen(1)]
ShownNet = Literal["fusion/D", "fusion/DC", "fusion/DB", "fusion/DCB", "disease/all", "disease/five"]
Metric = Literal["accuracy", "macro_recall", "macro_specificity", "macro_precision", "macro_npv", "macro_f1"]
Model = Literal["D", "DC", "DB", "DCB"]
Change = Literal["expand", "shrink", "move", "combined"]
Sets = Mapping[str, Any]


@dataclass(frozen=True, config=_CONFIG)
class Claim:
    """What the reference study found. text: in a sentence · best: the label that it found, or chose as, best."""

    text: Text
    best: str = ""


@dataclass(frozen=True, config=_CONFIG)
class Arm:
    """One variant of the plan.

    set: path → value (see overrides) · drop: stages left out · x: where it stands on the figure's axis, where all
    arms have one · net: that is shown in place of the experiment's · pooled: trained in one place on the lesions of
    all centers, with as many passes over each lesion.
    """

    label: Text
    set: Sets = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    x: float | None = None
    net: ShownNet | None = None
    pooled: bool = False


@dataclass(frozen=True, config=_CONFIG)
class Training:
    """Whole runs, one an arm and seed, on the same hospitals; the first arm is the one that others are held against.

    seeds: of training, () = the run's own · axis: name of the arms' x · set, drop: of all arms.
    """

    kind: Literal["training"]
    title: Text
    arms: Annotated[tuple[Arm, ...], MinLen(1)]
    plan: str = "configs/plan.demo.yaml"
    seeds: tuple[Annotated[int, Ge(0)], ...] = ()
    net: ShownNet = "fusion/DCB"
    cohorts: Cohorts = TEST_COHORTS
    metric: Metric = "accuracy"
    axis: str = ""
    set: Sets = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Models:
    """Nets of a finished run against each other; the first is the one that others are held against."""

    kind: Literal["models"]
    title: Text
    nets: Annotated[tuple[ShownNet, ...], MinLen(1)] = ("fusion/D", "fusion/DC", "fusion/DB", "fusion/DCB")
    cohorts: Cohorts = TEST_COHORTS
    metric: Metric = "accuracy"
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Scenario:
    """malignant, benign: their ratio in a cohort."""

    label: Text
    malignant: Annotated[float, Ge(0)]
    benign: Annotated[float, Ge(0)]

    def __post_init__(self) -> None:
        """Raises ValueError for a ratio of nothing to nothing."""
        if self.malignant + self.benign <= 0:
            raise ValueError("malignant and benign are not both 0")


@dataclass(frozen=True, config=_CONFIG)
class Prevalence:
    """Cohorts of `size` lesions drawn anew `repeats` times from the test lesions, with replacement, at each ratio."""

    kind: Literal["prevalence"]
    title: Text
    scenarios: Annotated[tuple[Scenario, ...], MinLen(1)]
    size: Annotated[int, Ge(2)] = 100
    repeats: Annotated[int, Ge(2)] = 100
    models: Annotated[tuple[Model, ...], MinLen(1)] = ("DCB",)
    cohorts: Cohorts = TEST_COHORTS
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Outline:
    """The same lesions read again under changed outlines, `repeats` times each.

    lesions: a seeded sample of so many of the cohorts', 0 = all · amount: the most that an outline grows, shrinks or
    moves, as a share of its size.
    """

    kind: Literal["outline"]
    title: Text
    changes: Annotated[tuple[Change, ...], MinLen(1)] = ("expand", "shrink", "move", "combined")
    amount: Annotated[float, Gt(0), Le(0.5)] = 0.2
    repeats: Annotated[int, Ge(1)] = 100
    lesions: Annotated[int, Ge(0)] = 24
    net: ShownNet = "fusion/DCB"
    cohorts: Cohorts = TEST_COHORTS
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class LeaveOut:
    """The plan without one center at a time, beside the run with it, on that center's own lesions.

    centers: which, the largest this many · cohorts: of the center's lesions that are scored.
    """

    kind: Literal["leave_out"]
    title: Text
    centers: Annotated[int, Ge(1)] = 3
    plan: str = "configs/plan.demo.yaml"
    net: ShownNet = "fusion/DCB"
    cohorts: Cohorts = ("validation", "external_test_c")
    set: Sets = field(default_factory=dict)
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Matrix:
    """Every model (federated, pooled, each center alone) on every place: test cohorts, and each center's own lesions.

    own: cohorts of a center's own lesions · small: below so many lesions a cell is flagged.
    """

    kind: Literal["matrix"]
    title: Text
    net: ShownNet = "fusion/DCB"
    own: Cohorts = ("validation",)
    small: Annotated[int, Ge(1)] = 10
    claim: Claim | None = None


Experiment = Annotated[Training | LeaveOut | Models | Prevalence | Outline | Matrix, Field(discriminator="kind")]
"""The registry of kinds of experiment."""
_EXPERIMENT = TypeAdapter[Experiment](Experiment)


@plain(frozen=True)
class Variant:
    """An arm's whole plan, checked. values: as plain values, for its own file."""

    arm: Arm
    values: Mapping[str, Any]
    plan: Plan


def experiment_path(name: str) -> Path:
    """The file of an experiment: itself where `name` is a file, else the one of that name in FOLDER.

    Raises ExpectedError with the names that there are.
    """
    for path in (Path(name), FOLDER / f"{name}.yaml"):
        if path.suffix == ".yaml" and path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml"))) or f"none: {FOLDER} is not here"
    raise ExpectedError(f"there is no experiment {name!r}; give a file, or one of {FOLDER}: {known}")


def load_experiment(path: Path) -> tuple[Experiment, LinedYaml]:
    """Read an experiment's file; its places, for faults that are found later. Raises FaultList with every fault."""
    file = read_plan_file(path, "bad-experiment-file")
    found = checked(file, _of_values)
    faults = _unlike(found)
    if faults:
        raise file.error(faults)
    return found, file


def _of_values(values: Any) -> Experiment:
    return _EXPERIMENT.validate_json(json.dumps(values, default=str), strict=True)


def _unlike(experiment: Experiment) -> list[Fault]:
    """What is compared are two things or more, and no two have one name."""
    compared = {"training": "arms", "models": "nets"}.get(experiment.kind)
    if compared is None:
        return []
    named = [getattr(arm, "label", arm) for arm in getattr(experiment, compared)]
    few = fault_at((compared,), f"at least 2 {compared} are compared", str(len(named)), "add one")
    faults = [] if len(named) > 1 else [few]
    twice = [index for index, name in enumerate(named) if name in named[:index]]
    rule = f"names of {compared} differ"
    return faults + [fault_at((compared, i), rule, f"two {named[i]!r}", "rename one") for i in twice]


def variants(experiment: Training, file: LinedYaml, base: Path, extra: Sets) -> list[Variant]:
    """The checked plan of every arm over the plan file `base`. extra: settings of the command line, which come last.

    Raises FaultList with every fault of every arm.
    """
    values = read_plan_file(base).values
    found: list[Variant] = []
    faults: list[Fault] = []
    for index, arm in enumerate(experiment.arms):
        try:
            sets = {**experiment.set, **arm.set, **extra}
            changed = overridden(values, (*experiment.drop, *arm.drop), sets)
        except OverrideError as error:
            faults.append(fault_at(_written(error.path, arm, index), f"{error.path}: {error}"))
            continue
        plan, wrong = plan_of(changed)
        faults += [_placed(fault, changed, arm, index) for fault in wrong]
        if plan is not None:
            found.append(Variant(arm, changed, plan))
            unfit = _unfit(plan, arm.net or experiment.net, experiment)
            faults += [replace(fault, file="", key=("arms", index)) for fault in unfit]
    if faults:
        raise file.error(faults)
    return found


def _unfit(plan: Plan, shown: str, experiment: Training) -> Iterator[Fault]:
    """Why the arm cannot be run, or says nothing of what is to be shown."""
    evaluations = [stage for stage in plan.stages if isinstance(stage, Evaluate) and stage.replicates]
    shows = [stage.cohorts for stage in evaluations if shown in classifiers_of(expanded(stage.nets))]
    for cohort in experiment.cohorts:
        if not any(cohort in cohorts for cohorts in shows):
            rule = f"{shown} is to be shown on {cohort}"
            yield fault_at((), rule, "no stage of this arm that evaluates it there with replicates", "add one")
    try:
        simulation_of(plan.simulation)
    except FaultList as error:
        yield from error.faults


def _placed(fault: Fault, values: Mapping[str, Any], arm: Arm, index: int) -> Fault:
    """A fault of an arm's plan at the setting that brought it, or else at the arm."""
    wrong = within(values, fault.key)
    blamed = next((path for path in arm.set if _overlap(place_of(values, path), wrong)), "")
    missing = f".{fault.column}" if fault.column else ""
    rule = f"{dotted(values, wrong)}{missing}: {fault.rule}"
    return replace(fault, key=_written(blamed, arm, index), column="", rule=rule)


def _overlap(one: Key, other: Key) -> bool:
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _written(path: str, arm: Arm, index: int) -> Key:
    return ("arms", index, "set", path) if path in arm.set else ("arms", index)
