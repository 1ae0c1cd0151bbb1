"""Leave-one-center-out: the accuracy that a hospital outside the federation can expect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.plan.plan import load_plan
from ceus_models.plan.stages import Evaluate
from ceus_models.plan.train_stage import Train
from ceus_models.runtime.yaml_lines import YamlWithLines
from ceus_models.study.cohorts import assign_cohort
from server.report.publish import BUNDLE
from server.results.metrics import Floats, ratio
from sim.experiments.arms import ExperimentRequest, FinishedArm, run_arms
from sim.experiments.entry import Cell, Entry
from sim.experiments.experiment_file import Arm, LeaveOut, Training, build_variants
from sim.experiments.lesions import Group, list_targets, load_groups, predict_groups
from sim.experiments.paired import Estimate, compute_share, compute_share_difference, is_significant
from sim.hospital.prepare import draw_center_cases, format_site_name, parse_simulation

WITH_EVERY_CENTER = "with every center"
REPLICATES = 1000


def run_leave_out(experiment: LeaveOut, file: YamlWithLines, folder: Path, request: ExperimentRequest) -> Entry:
    """Train once without each center; the reference is the run with all centers."""
    base = request.select_plan(experiment.plan)
    centers = select_largest(base, experiment.centers, request.seed)
    arms = [
        Arm(WITH_EVERY_CENTER),
        *(Arm(f"without {format_site_name(c)}", {"simulation.without": [c]}) for c in centers),
    ]
    training = Training(
        "training",
        experiment.title,
        tuple(arms),
        net=experiment.net,
        cohorts=_read_test_cohorts(base),
        set=experiment.set,
    )
    variants = build_variants(training, file, base, request.sets, paired=False)
    ran = run_arms(variants, (request.seed,), folder, request)
    whole, others = ran[0][0], [runs[0] for runs in ran[1:]]
    groups = load_groups(whole.out, whole.plan.processing, experiment.cohorts)
    return build_entry(
        experiment, whole, {format_site_name(c): run for c, run in zip(centers, others, strict=True)}, groups
    )


def select_largest(base: Path, count: int, seed: int) -> list[int]:
    """The centers with the most lesions of the cohorts that the plan trains on first."""
    plan = load_plan(base)
    cohorts = next(stage.cohorts for stage in plan.stages if isinstance(stage, Train))
    simulation = parse_simulation(plan.simulation)
    cases = draw_center_cases(simulation, seed if simulation.seed is None else simulation.seed)
    held = {
        center: sum(assign_cohort(center, case.exam_date, case.patient_id) in cohorts for case in own)
        for center, own in cases.items()
    }
    return sorted((c for c in held if held[c]), key=lambda c: (-held[c], c))[:count]


def _read_test_cohorts(base: Path) -> tuple[str, ...]:
    """The cohorts of the plan's last evaluation, which every arm must have."""
    return [stage.cohorts for stage in load_plan(base).stages if isinstance(stage, Evaluate)][-1]


def build_entry(
    experiment: LeaveOut, whole: FinishedArm, without: dict[str, FinishedArm], groups: Sequence[Group]
) -> Entry:
    """A row a center: both models on its lesions, and their paired difference."""
    rows: list[list[Cell]] = []
    points = []
    found: dict[str, Estimate] = {}
    for site, run in without.items():
        own = [group for group in groups if group.site == site]
        if not own or not (list_targets(own, experiment.net) >= 0).any():
            rows.append([site, 0, *[None] * 9])
            continue
        both = [_compute_rows(one, own, experiment.net) for one in (whole, run)]
        lesions = int((list_targets(own, experiment.net) >= 0).sum())
        values = [compute_share([each], lesions) for each in both]
        found[site] = compute_share_difference([both[1]], [both[0]], lesions)
        rows.append([site, lesions, *values[0].as_cells, *values[1].as_cells, *found[site].as_cells])
        for label, value in zip((WITH_EVERY_CENTER, "without it"), values, strict=True):
            ends = dict(zip(("value", "low", "high"), value.as_cells, strict=True))
            points.append({"group": f"{site} ({lesions} lesions)", "label": label, **ends})
    columns = ["center", "lesions", "with it", "low", "high", "without it", "without low", "without high"]
    return Entry(
        title=experiment.title,
        columns=[*columns, "difference", "difference low", "difference high"],
        rows=rows,
        figure={"kind": "intervals", "xlabel": "accuracy, 95 % interval", "points": points, "line": None},
        finding=describe_finding(found),
    )


def describe_finding(found: dict[str, Estimate]) -> str:
    """The finding as text: for how many centers taking part changes the accuracy."""
    if not found:
        return "None of the centers has a lesion to score."
    worse = [site for site, value in found.items() if is_significant(value) and value.value < 0]
    better = [site for site, value in found.items() if is_significant(value) and value.value > 0]
    mean = float(np.mean([value.value for value in found.values()]))
    text = f"Left out, the model's accuracy on the center's own lesions changes by {mean:+.3f} on average"
    return (
        f"{text}; outside the interval worse for {len(worse)} and better for {len(better)} of {len(found)} "
        f"center{'s' if len(found) > 1 else ''}."
    )


def _compute_rows(run: FinishedArm, groups: Sequence[Group], net: str) -> Floats:
    """Accuracy (1+R): the estimate, then replicates with the bootstrap weights of the sites."""
    target = list_targets(groups, net)
    known = np.flatnonzero(target >= 0)
    right = predict_groups(load_bundle(run.out / BUNDLE), groups, net).argmax(1)[known] == target[known]
    keys = [sample.key for group in groups for sample in group.samples]
    draws = np.stack([poisson_weights(run.seed, keys[i], REPLICATES) for i in known.tolist()]).astype(np.float64)
    weight = draws.sum(0)
    return ratio(right.astype(np.float64) @ draws, weight, empty=np.nan)
