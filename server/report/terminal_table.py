"""The result of a run on the terminal: who classified what how well."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ceus_models.study.taxonomy import NETS
from server.report.cells import DASH
from server.report.values import (
    COHORT_TITLES,
    Estimate,
    Results,
    cohort_size,
    estimate,
    is_simulated,
    lookup,
    majority,
    metric,
    models_of,
    tested_cohorts,
)


def print_results(results: Results, console: Console) -> None:
    """Print each test cohort's models, then the sub-models' validation AUC; a dash where there is no value."""
    if is_simulated(results):
        console.print("Phantom data, no patients. For research, not a medical device.", style="italic")
    if tested_cohorts(results):
        console.print(_models_table(results))
    nets = [net for net in NETS if estimate(lookup(results, "nets", net, "validation", "auc"))]
    if nets:
        console.print(_nets_table(results, nets))


def _models_table(results: Results) -> Table:
    table = Table(title="Six lesion types, on the test cohorts [95 % interval]")
    table.add_column("Cohort")
    table.add_column("Model")
    for heading in ("Accuracy", "Macro-AUC", "Macro-F1", "OT recall"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cohort in tested_cohorts(results):
        for place, model in enumerate(models_of(results, cohort)):
            table.add_row(
                _cohort_cell(results, cohort, place),
                model,
                format_estimate(metric(results, cohort, model, "accuracy")),
                short(metric(results, cohort, model, "macro_auc")),
                short(metric(results, cohort, model, "macro_f1")),
                short(metric(results, cohort, model, "recall", "OT")),
            )
        table.add_section()
    return table


def _cohort_cell(results: Results, cohort: str, line: int) -> str:
    if line == 0:
        return COHORT_TITLES[cohort]
    if line == 1:
        return f"  n = {cohort_size(results, cohort) or '?'}"
    commonest = majority(results, cohort) if line == 2 else None
    return "" if commonest is None else f"  {commonest[0]} {commonest[1]:.2f}"


def _nets_table(results: Results, nets: list[str]) -> Table:
    chosen = ", optimistic: rounds were chosen on it" if lookup(results, "chosen_on", "validation") else ""
    table = Table(title=f"Sub-models, AUC on the validation set [95 % interval]{chosen}")
    table.add_column("Net")
    table.add_column("AUC", justify="right", no_wrap=True)
    table.add_column("Positive / negative", justify="right")
    for net in nets:
        counts = [lookup(results, "nets", net, "validation", side) for side in ("positives", "negatives")]
        auc = estimate(lookup(results, "nets", net, "validation", "auc"))
        table.add_row(net, format_estimate(auc), " / ".join(DASH if count is None else str(count) for count in counts))
    return table


def format_estimate(found: Estimate | None) -> str:
    """`0.862 [0.820, 0.901]` for people; a dash where there is no value."""
    if found is None or found.low is None or found.high is None:
        return short(found)
    return f"{found.value:.3f} \\[{found.low:.3f}, {found.high:.3f}]"


def short(found: Estimate | None) -> str:
    """`0.862`, or a dash where there is no value."""
    return DASH if found is None else f"{found.value:.3f}"
