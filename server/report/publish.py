"""What a finished run leaves beside its checkpoints: results.json, the report, and the bundle that predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ceus_models.bundle.model_bundle import Bundle, save_bundle
from ceus_models.metrics.ood import TrainingFigures
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.recipe import compute_typical
from ceus_models.plan.stages import Statistics
from ceus_models.plan.terms.participation import list_silent_sites
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.report.checklists.checklist import NAMES, format_checklist
from server.report.csv_tables import format_tables
from server.report.page import render_report
from server.results.results import collect_results
from server.rounds.saving.checkpoints import Store

RESULTS, REPORT, BUNDLE, TABLES = "results.json", "report.html", "bundle", "tables"
CHECKLISTS = "checklists"
NO_PRIVACY: Mapping[str, Any] = {"mechanism": "none", "epsilon": None}
"""Sums alone, without noise: no bound on the privacy spent can be stated."""


def publish_run(out: Path, plan: Plan, seed: int) -> Path:
    """Publish what the newest checkpoint holds, finished or not; the report's path.

    Raises ExpectedError where there is no checkpoint of this plan and seed.
    """
    progress = Store(out).latest(plan.digest(), seed)
    if progress is None:
        raise ExpectedError(f"no round is finished yet in {out}; `ceus-coordinator run` begins or goes on")
    return publish_progress(progress, out, plan, seed)


def publish_progress(progress: Progress, out: Path, plan: Plan, seed: int) -> Path:
    """Publish what a run has reached, finished or not; the report's path."""
    found = collect_run_results(progress, plan, seed)
    publish_report(found, out)
    if found["finished"] and progress.recipe is not None:
        save_bundle(build_bundle(progress, plan, seed, found), out / BUNDLE)
    return out / REPORT


def collect_run_results(progress: Progress, plan: Plan, seed: int) -> dict[str, Any]:
    """The results of a run through Flower, finished or not."""
    about = {"fedceus": version("fedceus"), "seed": seed, "link": "federation", "simulated": False}
    look_at = list_silent_sites(progress.participation)
    return (
        about
        | collect_results(progress, plan, seed)
        | {"finished": plan.current(progress.stage) is None, "look_at": look_at}
    )


def publish_report(found: Mapping[str, Any], out: Path) -> None:
    """`collect_results.json`, and what is made of it: `report.html`, `tables/NAME.csv`, `checklists/NAME.md`."""
    write_atomically(out / RESULTS, json.dumps(found, indent=1, allow_nan=False).encode(), PUBLIC)
    write_atomically(out / REPORT, render_report(found).encode(), PUBLIC)
    write_tables(found, out)
    write_checklists(found, out)


def write_checklists(found: Mapping[str, Any], out: Path) -> None:
    """The reporting checklists as Markdown, beside the report."""
    (out / CHECKLISTS).mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        write_atomically(out / CHECKLISTS / f"{name}.md", format_checklist(name, found).encode(), PUBLIC)


def write_tables(found: Mapping[str, Any], out: Path) -> None:
    """The numbers of the report as CSV files, beside it."""
    (out / TABLES).mkdir(parents=True, exist_ok=True)
    for name, text in format_tables(found).items():
        write_atomically(out / TABLES / f"{name}.csv", text.encode(), PUBLIC)


def build_bundle(progress: Progress, plan: Plan, seed: int, found: Mapping[str, Any]) -> Bundle:
    """All that is needed to predict. found: the results, which the bundle keeps whole.

    Raises ExpectedError for a plan that trains nothing.
    """
    if progress.recipe is None:
        raise ExpectedError(f"plan {plan.name} trains nothing, so there is no bundle to save")
    return Bundle(
        nets=progress.nets,
        recipe=progress.recipe,
        processing=plan.processing,
        plan=plan.digest(),
        provenance={"plan": plan.name, "seed": str(seed), "fedceus": version("fedceus")},
        typical=_typical(progress, plan),
        study={"plan": plan.plain(), "results": dict(found), "privacy": found.get("privacy", NO_PRIVACY)},
    )


def _typical(progress: Progress, plan: Plan) -> TrainingFigures | None:
    """What the training lesions look like; None for a study whose statistics do not hold it."""
    stage = next((s for s in plan.stages if isinstance(s, Statistics) and s.name in progress.totals), None)
    typical = None if stage is None else compute_typical(progress.totals[stage.name], stage.cohorts)
    return typical if typical and typical.figures else None
