"""Run one experiment, from its file to table, figure and finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import LinedYaml
from server.results.metrics import Ints
from sim.experiments.arm_table import Scored, Shown, entry_of
from sim.experiments.arms import Ran, Request, run_arms
from sim.experiments.entry import Entry, folder_of, publish_entry
from sim.experiments.experiment_file import (
    Experiment,
    LeaveOut,
    Matrix,
    Models,
    Outline,
    Prevalence,
    Training,
    experiment_path,
    load_experiment,
    variants,
)
from sim.experiments.left_out import left_out
from sim.experiments.lesions import finished_run
from sim.experiments.nets_compared import nets_compared
from sim.experiments.prevalence import prevalence
from sim.experiments.robustness import robustness
from sim.experiments.site_matrix import site_matrix


def run_experiment(name: str, request: Request) -> Entry:
    """Run or resume an experiment, write its entry and return it.

    Args:
        name: a file, or the name of one in configs/experiments.
        request: options of the command.

    Raises:
        ExpectedError: the run does not fit the experiment.
        FaultList: the experiment's file has faults.
    """
    path = experiment_path(name)
    experiment, file = load_experiment(path)
    found = _found(experiment, file, folder_of(request.out, path.stem), request)
    about = {"kind": experiment.kind, "seed": request.seed, "set": dict(request.sets)}
    entry = replace(found, details={**about, **found.details})
    publish_entry(request.out, path.stem, entry)
    return entry


def _found(experiment: Experiment, file: LinedYaml, folder: Path, request: Request) -> Entry:
    match experiment:
        case Training():
            return _trained(experiment, file, folder, request)
        case Models():
            _refuse_sets(request, experiment.kind)
            return nets_compared(experiment, request.out)
        case Prevalence():
            _refuse_sets(request, experiment.kind)
            return prevalence(experiment, finished_run(request.out))
        case Outline():
            _refuse_sets(request, experiment.kind)
            return robustness(experiment, finished_run(request.out), folder, request.workers, request.counted)
        case Matrix():
            _refuse_sets(request, experiment.kind)
            return site_matrix(experiment, finished_run(request.out), folder, request.workers, request.counted)
        case LeaveOut():
            return left_out(experiment, file, folder, request)


def _trained(experiment: Training, file: LinedYaml, folder: Path, request: Request) -> Entry:
    base = request.base(experiment.plan)
    planned = variants(experiment, file, base, request.sets)
    seeds = experiment.seeds or (request.seed,)
    ran = run_arms(planned, seeds, folder, request)
    scored = [
        Scored(variant.arm.label, _counts(runs, variant.arm.net or experiment.net, experiment.cohorts), variant.arm.x)
        for variant, runs in zip(planned, ran, strict=True)
    ]
    shown = Shown(experiment.title, experiment.metric, experiment.axis, len(seeds), experiment.claim)
    details = {
        "plan": str(base),
        "net": experiment.net,
        "seeds": list(seeds),
        "arms": [
            {"label": r.label, "seed": r.seed, "folder": _beside(r.out, request.out)} for runs in ran for r in runs
        ],
    }
    return replace(entry_of(scored, shown), details=details)


def _counts(runs: Sequence[Ran], shown: str, cohorts: Sequence[str]) -> dict[str, list[Ints | None]]:
    return {cohort: [run.confusion(shown, cohort) for run in runs] for cohort in cohorts}


def _beside(path: Path, run: Path) -> str:
    return str(path.relative_to(run)) if path.is_relative_to(run) else str(path)


def _refuse_sets(request: Request, kind: str) -> None:
    """Raise ExpectedError for --plan or --set with an experiment on a finished run."""
    if request.sets or request.plan:
        raise ExpectedError(f"expected no --plan and no --set, as {kind} uses a finished run; leave them out")
