"""Leave-one-center-out: the accuracy that a hospital outside the federation can expect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ceus_models.bundle.model_bundle import load_bundle
from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.runtime.yaml_lines import LinedYaml
from ceus_models.study.cohorts import cohort_of
from server.report.publish import BUNDLE
from server.results.metrics import Floats, ratio
from server.study.plan import load_plan
from server.study.stages import Evaluate
from server.study.train_stage import Train
from sim.experiments.arms import Ran, Request, run_arms
from sim.experiments.entry import Cell, Entry
from sim.experiments.experiment_file import Arm, LeaveOut, Training, variants
from sim.experiments.lesions import Group, answers, asked, groups_of
from sim.experiments.paired import Value, difference, told_apart, valued
from sim.hospital.prepare import cases_of, simulation_of, site_name

WITH = "with every center"
REPLICATES = 1000


def left_out(experiment: LeaveOut, file: LinedYaml, folder: Path, request: Request) -> Entry:
    """Train once without each center; the reference is the run with all centers."""
    base = request.base(experiment.plan)
    centers = largest(base, experiment.centers, request.seed)
    arms = [Arm(WITH), *(Arm(f"without {site_name(c)}", {"simulation.without": [c]}) for c in centers)]
    training = Training(
        "training", experiment.title, tuple(arms), net=experiment.net, cohorts=_tested(base), set=experiment.set
    )
    ran = run_arms(variants(training, file, base, request.sets), (request.seed,), folder, request)
    whole, others = ran[0][0], [runs[0] for runs in ran[1:]]
    groups = groups_of(whole.out, whole.plan.processing, experiment.cohorts)
    return entry_of(experiment, whole, {site_name(c): run for c, run in zip(centers, others, strict=True)}, groups)


def largest(base: Path, count: int, seed: int) -> list[int]:
    """The centers with the most lesions of the cohorts that the plan trains on first."""
    plan = load_plan(base)
    cohorts = next(stage.cohorts for stage in plan.stages if isinstance(stage, Train))
    simulation = simulation_of(plan.simulation)
    cases = cases_of(simulation, seed if simulation.seed is None else simulation.seed)
    held = {
        center: sum(cohort_of(center, case.exam_date, case.patient_id) in cohorts for case in own)
        for center, own in cases.items()
    }
    return sorted((c for c in held if held[c]), key=lambda c: (-held[c], c))[:count]


def _tested(base: Path) -> tuple[str, ...]:
    """The cohorts of the plan's last evaluation, which every arm must have."""
    return [stage.cohorts for stage in load_plan(base).stages if isinstance(stage, Evaluate)][-1]


def entry_of(experiment: LeaveOut, whole: Ran, without: dict[str, Ran], groups: Sequence[Group]) -> Entry:
    """A row a center: both models on its lesions, and their paired difference."""
    rows: list[list[Cell]] = []
    points = []
    found: dict[str, Value] = {}
    for site, run in without.items():
        own = [group for group in groups if group.site == site]
        if not own or not (answers(own, experiment.net) >= 0).any():
            rows.append([site, 0, *[None] * 9])
            continue
        both = [_rows(one, own, experiment.net) for one in (whole, run)]
        values = [valued([each]) for each in both]
        found[site] = difference([both[1]], [both[0]])
        lesions = int((answers(own, experiment.net) >= 0).sum())
        rows.append([site, lesions, *values[0].plain, *values[1].plain, *found[site].plain])
        for label, value in zip((WITH, "without it"), values, strict=True):
            ends = dict(zip(("value", "low", "high"), value.plain, strict=True))
            points.append({"group": f"{site} ({lesions} lesions)", "label": label, **ends})
    columns = ["center", "lesions", "with it", "low", "high", "without it", "without low", "without high"]
    return Entry(
        title=experiment.title,
        columns=[*columns, "difference", "difference low", "difference high"],
        rows=rows,
        figure={"kind": "intervals", "xlabel": "accuracy, 95 % interval", "points": points, "line": None},
        finding=finding(found),
    )


def finding(found: dict[str, Value]) -> str:
    """The finding as text: for how many centers taking part changes the accuracy."""
    if not found:
        return "None of the centers has a lesion to score."
    worse = [site for site, value in found.items() if told_apart(value) and value.value < 0]
    better = [site for site, value in found.items() if told_apart(value) and value.value > 0]
    mean = float(np.mean([value.value for value in found.values()]))
    text = f"Left out, the model's accuracy on the center's own lesions changes by {mean:+.3f} on average"
    return (
        f"{text}; outside the interval worse for {len(worse)} and better for {len(better)} of {len(found)} "
        f"center{'s' if len(found) > 1 else ''}."
    )


def _rows(run: Ran, groups: Sequence[Group], net: str) -> Floats:
    """Accuracy (1+R): the estimate, then replicates with the bootstrap weights of the sites."""
    target = answers(groups, net)
    known = np.flatnonzero(target >= 0)
    right = asked(load_bundle(run.out / BUNDLE), groups, net).argmax(1)[known] == target[known]
    keys = [sample.key for group in groups for sample in group.samples]
    draws = np.stack([poisson_weights(run.seed, keys[i], REPLICATES) for i in known.tolist()]).astype(np.float64)
    weight = draws.sum(0)
    return ratio(right.astype(np.float64) @ draws, weight, empty=np.nan)
