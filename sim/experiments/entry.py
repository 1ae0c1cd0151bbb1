"""The output of an experiment: table.csv, result.json, figure.svg, and its entry in the run's results and report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.csv_cells import format_csv
from server.report.figures.plain_data import render_figure
from server.report.publish import RESULTS
from sim.experiments.experiment_file import Claim
from sim.runs.run import publish_results, read_results

Cell = str | int | float | None


@dataclass(frozen=True)
class Entry:
    """One experiment as the report shows it.

    Args:
        title: of the entry.
        columns: names of the table's columns.
        rows: the table.
        figure: {"kind": "lines" | "intervals" | "matrix", ...}, see docs/researcher.md.
        finding: sentences made from the numbers.
        details: further values for result.json.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    figure: Mapping[str, Any] | None
    finding: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_results(self) -> dict[str, Any]:
        """The entry for results.json."""
        found = asdict(self)
        del found["details"]
        return found


def describe_best_claim(claim: Claim | None, best: str, apart: bool) -> str:
    """About a claim that one arm is best; `apart`: the best arm differs significantly from the second."""
    if claim is None:
        return ""
    if not claim.best:
        return f"The study: {claim.text}"
    if best != claim.best:
        return f"The study: {claim.text} This is not reproduced."
    return f"The study: {claim.text} This is reproduced{'' if apart else ' in direction only, within the interval'}."


def describe_stable_claim(claim: Claim | None, holds: bool, learned: bool) -> str:
    """About a claim that accuracy is stable; `learned` says whether the model beats the majority type."""
    if claim is None:
        return ""
    if not learned:
        return (
            f"The study: {claim.text} Here this says nothing: the model does no better than always naming the "
            "commonest type."
        )
    return f"The study: {claim.text} This {'is' if holds else 'is not'} reproduced."


def experiment_folder(run: Path, name: str) -> Path:
    """The folder of an experiment."""
    return run / "experiments" / name


def publish_entry(run: Path, name: str, entry: Entry) -> None:
    """Write the experiment's files, and update results and report of a finished run."""
    folder = experiment_folder(run, name)
    folder.mkdir(parents=True, exist_ok=True)
    document = {"name": name, **entry.details, "entry": entry.to_results()}
    write_atomically(folder / "table.csv", _format_csv(entry).encode(), PUBLIC)
    if entry.figure is not None:
        write_atomically(
            folder / "figure.svg", render_figure(f"experiment-{name}", entry.title, entry.figure).encode(), PUBLIC
        )
    write_atomically(folder / "result.json", json.dumps(document, indent=1, allow_nan=False).encode(), PUBLIC)
    if (run / RESULTS).exists():
        publish_results(read_results(run), run)


def _format_csv(entry: Entry) -> str:
    return format_csv([entry.columns, *entry.rows], "\n")
