"""Run one experiment, from its file to table, figure and finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import YamlWithLines
from server.results.metrics import Counts
from sim.experiments.arm_measures import add_measures, combine_entries
from sim.experiments.arm_table import ArmScores, TableSettings, build_entry
from sim.experiments.arms import ExperimentRequest, FinishedArm, run_arms
from sim.experiments.entry import Entry, experiment_folder, publish_entry
from sim.experiments.experiment_file import (
    Experiment,
    LeaveOut,
    Matrix,
    Models,
    Outline,
    Prevalence,
    Training,
    Variant,
    build_variants,
    find_experiment_file,
    load_experiment,
)
from sim.experiments.left_out import run_leave_out
from sim.experiments.lesions import load_finished_run
from sim.experiments.nets_compared import compare_nets
from sim.experiments.prevalence import run_prevalence
from sim.experiments.robustness import run_robustness
from sim.experiments.site_matrix import run_site_matrix


def run_experiment(name: str, request: ExperimentRequest) -> Entry:
    """Run or resume an experiment, write its entry and return it.

    Args:
        name: a file, or the name of one in configs/experiments.
        request: options of the command.

    Raises:
        ExpectedError: the run does not fit the experiment.
        FaultList: the experiment's file has faults.
    """
    path = find_experiment_file(name)
    experiment, file = load_experiment(path)
    found = _run_kind(experiment, file, experiment_folder(request.out, path.stem), request)
    about = {"kind": experiment.kind, "seed": request.seed, "set": dict(request.sets)}
    entry = replace(found, details={**about, **found.details})
    publish_entry(request.out, path.stem, entry)
    return entry


def _run_kind(experiment: Experiment, file: YamlWithLines, folder: Path, request: ExperimentRequest) -> Entry:
    match experiment:
        case Training():
            return _run_training(experiment, file, folder, request)
        case Models():
            _check_no_sets(request, experiment.kind)
            return compare_nets(experiment, request.out)
        case Prevalence():
            _check_no_sets(request, experiment.kind)
            return run_prevalence(experiment, load_finished_run(request.out))
        case Outline():
            _check_no_sets(request, experiment.kind)
            return run_robustness(experiment, load_finished_run(request.out), folder, request.workers, request.counted)
        case Matrix():
            _check_no_sets(request, experiment.kind)
            return run_site_matrix(experiment, load_finished_run(request.out), folder, request.workers, request.counted)
        case LeaveOut():
            return run_leave_out(experiment, file, folder, request)


def _run_training(experiment: Training, file: YamlWithLines, folder: Path, request: ExperimentRequest) -> Entry:
    base = request.select_plan(experiment.plan)
    planned = build_variants(experiment, file, base, request.sets)
    seeds = experiment.seeds or (request.seed,)
    ran = run_arms(planned, seeds, folder, request)
    arms = {variant.arm.label: runs for variant, runs in zip(planned, ran, strict=True)}
    entries = {
        f"{experiment.metric.replace('_', ' ')} of {net}": _compare_arms(experiment, planned, ran, net)
        for net in (experiment.net, *experiment.beside)
    }
    entry = next(iter(entries.values()))
    if experiment.beside or experiment.submodel_auc or experiment.costs:
        entry = add_measures(combine_entries(entries), experiment, arms)
    details = {
        "plan": str(base),
        "net": experiment.net,
        "seeds": list(seeds),
        "arms": [
            {"label": r.label, "seed": r.seed, "folder": _relative_path(r.out, request.out)}
            for runs in ran
            for r in runs
        ],
    }
    return replace(entry, details=details)


def _compare_arms(
    experiment: Training, planned: Sequence[Variant], ran: Sequence[Sequence[FinishedArm]], net: str
) -> Entry:
    """The comparison of one net, which an arm's own replaces where the experiment's is meant."""
    scored = []
    for variant, runs in zip(planned, ran, strict=True):
        own = variant.arm.net if variant.arm.net and net == experiment.net else net
        scored.append(ArmScores(variant.arm.label, _read_confusions(runs, own, experiment.cohorts), variant.arm.x))
    seeds = len(experiment.seeds) or 1
    return build_entry(
        scored, TableSettings(experiment.title, experiment.metric, experiment.axis, seeds, experiment.claim)
    )


def _read_confusions(runs: Sequence[FinishedArm], shown: str, cohorts: Sequence[str]) -> dict[str, list[Counts | None]]:
    return {cohort: [run.read_confusion(shown, cohort) for run in runs] for cohort in cohorts}


def _relative_path(path: Path, run: Path) -> str:
    return str(path.relative_to(run)) if path.is_relative_to(run) else str(path)


def _check_no_sets(request: ExperimentRequest, kind: str) -> None:
    """Raise ExpectedError for --plan or --set with an experiment on a finished run."""
    if request.sets or request.plan:
        raise ExpectedError(f"expected no --plan and no --set, as {kind} uses a finished run; leave them out")
