"""The file of an experiment: variants, presentation, and the reference study's claim."""

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

from ceus_models.plan.plan import Plan, parse_plan, read_plan_file
from ceus_models.plan.stages import Cohorts, Evaluate
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from ceus_models.runtime.yaml_lines import Key, YamlWithLines, make_fault_at, validate_document
from ceus_models.study.taxonomy import TEST_COHORTS, select_classifiers
from sim.experiments.overrides import OverrideError, apply_overrides, format_path, resolve_path, trim_path
from sim.hospital.prepare import parse_simulation

FOLDER = Path("configs/experiments")
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
Text = Annotated[str, MinLen(1)]
ShownNet = Literal["fusion/D", "fusion/DC", "fusion/DB", "fusion/DCB", "disease/all", "disease/five"]
Metric = Literal["accuracy", "macro_recall", "macro_specificity", "macro_precision", "macro_npv", "macro_f1"]
Model = Literal["D", "DC", "DB", "DCB"]
Change = Literal["expand", "shrink", "move", "combined"]
Overrides = Mapping[str, Any]


@dataclass(frozen=True, config=_CONFIG)
class Claim:
    """The reference study's claim: `text` is a sentence, `best` the label of its best arm."""

    text: Text
    best: str = ""


@dataclass(frozen=True, config=_CONFIG)
class Arm:
    """One variant of the plan.

    `set` maps path → value (see overrides), `drop` names stages to leave out, `x` is the position on the figure's axis,
    `net` replaces the experiment's net, `pooled` trains on the lesions of all centers at one site.
    """

    label: Text
    set: Overrides = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    x: float | None = None
    net: ShownNet | None = None
    pooled: bool = False


@dataclass(frozen=True, config=_CONFIG)
class Training:
    """One run for each arm and seed, on the same hospitals; the first arm is the reference.

    `seeds` are of training, () = the run's own; `axis` is the name of the arms' x; `set` and `drop` are for all arms.
    `beside` are further nets whose metric is compared, `submodel_auc` adds the AUC of the sub-models on all lesions of
    the cohorts together, `costs` the bytes that a site exchanges and the processor time of an arm.
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
    beside: tuple[ShownNet, ...] = ()
    submodel_auc: bool = False
    costs: bool = False
    set: Overrides = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Models:
    """Comparison of nets of a finished run; the first net is the reference."""

    kind: Literal["models"]
    title: Text
    nets: Annotated[tuple[ShownNet, ...], MinLen(1)] = ("fusion/D", "fusion/DC", "fusion/DB", "fusion/DCB")
    cohorts: Cohorts = TEST_COHORTS
    metric: Metric = "accuracy"
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Scenario:
    """The ratio of malignant to benign lesions in a cohort."""

    label: Text
    malignant: Annotated[float, Ge(0)]
    benign: Annotated[float, Ge(0)]

    def __post_init__(self) -> None:
        """Raise ValueError for a ratio of 0 to 0."""
        if self.malignant + self.benign <= 0:
            raise ValueError("expected malignant or benign above 0, found 0 for both")


@dataclass(frozen=True, config=_CONFIG)
class Prevalence:
    """Cohorts of `size` test lesions, drawn `repeats` times with replacement at each ratio of malignant to benign."""

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
    """The same lesions under changed outlines, `repeats` times each.

    `lesions` is the size of a seeded sample of the cohorts' lesions, 0 = all; `amount` is the largest change of an
    outline, as a share of its size.
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
    """Leave-one-center-out: the plan without one center, beside the run with it, on that center's own lesions.

    `centers` is the number of centers, the largest first; `cohorts` are those of the scored lesions.
    """

    kind: Literal["leave_out"]
    title: Text
    centers: Annotated[int, Ge(1)] = 3
    plan: str = "configs/plan.demo.yaml"
    net: ShownNet = "fusion/DCB"
    cohorts: Cohorts = ("validation", "external_test_c")
    set: Overrides = field(default_factory=dict)
    claim: Claim | None = None


@dataclass(frozen=True, config=_CONFIG)
class Matrix:
    """Every model (federated, pooled, each center alone) on the test cohorts and on each center's own lesions.

    `own` are the cohorts of a center's own lesions; cells of fewer than `small` lesions are flagged.
    """

    kind: Literal["matrix"]
    title: Text
    net: ShownNet = "fusion/DCB"
    own: Cohorts = ("validation",)
    small: Annotated[int, Ge(1)] = 10
    claim: Claim | None = None


Experiment = Annotated[Training | LeaveOut | Models | Prevalence | Outline | Matrix, Field(discriminator="kind")]
"""All kinds of experiment."""
_EXPERIMENT = TypeAdapter[Experiment](Experiment)


@plain(frozen=True)
class Variant:
    """An arm with its checked plan, also as plain `values` for its own file."""

    arm: Arm
    values: Mapping[str, Any]
    plan: Plan


def find_experiment_file(name: str) -> Path:
    """The file `name`, or the one of that name in FOLDER. Raises ExpectedError with the known names."""
    for path in (Path(name), FOLDER / f"{name}.yaml"):
        if path.suffix == ".yaml" and path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml"))) or f"none: {FOLDER} is not here"
    raise ExpectedError(f"expected a file or an experiment of {FOLDER}, found {name!r}; give one of: {known}")


def load_experiment(path: Path) -> tuple[Experiment, YamlWithLines]:
    """Read an experiment's file; its places, for faults that are found later. Raises FaultList with every fault."""
    file = read_plan_file(path, "bad-experiment-file")
    found = validate_document(file, _of_values)
    faults = _find_duplicates(found)
    if faults:
        raise file.error(faults)
    return found, file


def _of_values(values: Any) -> Experiment:
    return _EXPERIMENT.validate_json(json.dumps(values, default=str), strict=True)


def _find_duplicates(experiment: Experiment) -> list[Fault]:
    """Faults of a comparison of fewer than two arms or nets, or of two with the same name."""
    compared = {"training": "arms", "models": "nets"}.get(experiment.kind)
    if compared is None:
        return []
    named = [getattr(arm, "label", arm) for arm in getattr(experiment, compared)]
    few = make_fault_at((compared,), f"2 or more {compared}", str(len(named)), "add one")
    faults = [] if len(named) > 1 else [few]
    twice = [index for index, name in enumerate(named) if name in named[:index]]
    rule = f"different names of {compared}"
    return faults + [make_fault_at((compared, i), rule, f"two {named[i]!r}", "rename one") for i in twice]


def build_variants(
    experiment: Training, file: YamlWithLines, base: Path, extra: Overrides, paired: bool = True
) -> list[Variant]:
    """The checked plan of every arm, from the plan file `base` and, last, the command's settings `extra`.

    Evaluations of `paired` arms ask sites for as many replicates as the coordinator draws.

    Raises FaultList with every fault of every arm.
    """
    values = read_plan_file(base).values
    found: list[Variant] = []
    faults: list[Fault] = []
    for index, arm in enumerate(experiment.arms):
        try:
            sets = {**experiment.set, **arm.set, **extra}
            changed = apply_overrides(values, (*experiment.drop, *arm.drop), sets)
            changed = pair_evaluations(changed) if paired else changed
        except OverrideError as error:
            faults.append(make_fault_at(_locate_setting(error.path, arm, index), f"{error.path}: {error}"))
            continue
        plan, wrong = parse_plan(changed)
        faults += [_locate_fault(fault, changed, arm, index) for fault in wrong]
        if plan is not None:
            found.append(Variant(arm, changed, plan))
            shown = (arm.net or experiment.net, *experiment.beside)
            unfit = [fault for net in shown for fault in _find_conflicts(plan, net, experiment)]
            faults += [replace(fault, file="", key=("arms", index)) for fault in unfit]
    if faults:
        raise file.error(faults)
    return found


def pair_evaluations(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a plan whose evaluations ask sites for as many replicates as they have, so that arms are paired."""

    def pair(stage: Any) -> Any:
        replicates = stage.get("replicates", 1000) if isinstance(stage, dict) else 0
        is_evaluation = isinstance(stage, dict) and stage.get("stage") == "evaluate"
        return {"paired_replicates": replicates, **stage} if is_evaluation else stage

    stages = values.get("stages")
    return {**values, "stages": [pair(stage) for stage in stages]} if isinstance(stages, list) else dict(values)


def _find_conflicts(plan: Plan, shown: str, experiment: Training) -> Iterator[Fault]:
    """Why the arm cannot be run, or does not evaluate what is to be shown."""
    evaluations = [stage for stage in plan.stages if isinstance(stage, Evaluate) and stage.replicates]
    shows = [stage.cohorts for stage in evaluations if shown in select_classifiers(expand_names(stage.nets))]
    for cohort in experiment.cohorts:
        if not any(cohort in cohorts for cohorts in shows):
            rule = f"an evaluation of {shown} on {cohort} with replicates"
            yield make_fault_at((), rule, "no stage of this arm that has one", "add one")
    try:
        parse_simulation(plan.simulation)
    except FaultList as error:
        yield from error.faults


def _locate_fault(fault: Fault, values: Mapping[str, Any], arm: Arm, index: int) -> Fault:
    """A fault of an arm's plan, located at the setting that caused it, or else at the arm."""
    wrong = trim_path(values, fault.key)
    blamed = next((path for path in arm.set if _is_overlap(resolve_path(values, path), wrong)), "")
    missing = f".{fault.column}" if fault.column else ""
    rule = f"{format_path(values, wrong)}{missing}: {fault.rule}"
    return replace(fault, key=_locate_setting(blamed, arm, index), column="", rule=rule)


def _is_overlap(one: Key, other: Key) -> bool:
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _locate_setting(path: str, arm: Arm, index: int) -> Key:
    return ("arms", index, "set", path) if path in arm.set else ("arms", index)
