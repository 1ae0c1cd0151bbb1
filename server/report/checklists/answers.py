"""What a run answers to the items of reporting checklists, from results.json, which holds the plan's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ceus_models.study.inclusion import describe_inclusion
from ceus_models.study.taxonomy import COHORTS, LESION_TYPES, TEST_COHORTS
from server.report.cells import format_count
from server.report.checklists.fixed_answers import FIXED
from server.report.checklists.performance_answers import (
    describe_benchmark,
    describe_failures,
    describe_fairness,
    describe_heterogeneity,
    describe_performance,
    join_parts,
)
from server.report.intake import read_intake, read_rules
from server.report.values import (
    COHORT_TITLES,
    Results,
    count_items,
    lookup,
    number,
    section,
    tested_cohorts,
    whole,
)


def answer(key: str, results: Results) -> str:
    """The answer of a run, "" where it has none."""
    return FIXED[key] if key in FIXED else ANSWERS[key](results)


def _show(raw: object) -> str:
    """A count, or a dash."""
    return format_count(whole(raw))


def _sources(results: Results) -> str:
    flow = section(results, "flow")
    return join_parts({COHORT_TITLES[c]: _count_declared(flow[c]) for c in COHORTS if c in flow})


def _count_declared(one: Mapping[str, Any]) -> str:
    sites, lesions, patients = (_show(one.get(key)) for key in ("sites", "lesions", "patients"))
    return f"{sites} {'site' if sites == '1' else 'sites'}, {lesions} lesions of {patients} patients"


def _setting(results: Results) -> str:
    sites = max((count_items(one.get("registered")) for one in lookup(results, "participation") or []), default=0)
    return f"{sites} hospitals took part" if sites else ""


def _names(raw: object) -> list[str]:
    return [str(name) for name in raw] if isinstance(raw, list | tuple) else []


def _flow(results: Results) -> str:
    flow = section(results, "flow")
    counted = {c: whole(lookup(flow, c, "counted")) for c in COHORTS if c in flow}
    parts = {
        COHORT_TITLES[c]: f"{_describe_intake(results, c)}{_count_declared(flow[c])}, {n} counted"
        for c, n in counted.items()
        if n is not None
    }
    return join_parts(parts) and f"{join_parts(parts)}. Diagrams: section Flow and missing data"


def _describe_intake(results: Results, cohort: str) -> str:
    """What was listed and left out before the declaration, with a comma behind; "" where it is not known."""
    intake = read_intake(results, cohort)
    if intake is None:
        return ""
    left = {**intake.excluded, **intake.unreadable, "to be looked at first": intake.look}
    out = ", ".join(f"{n} \N{MULTIPLICATION SIGN} {words}" for words, n in left.items() if n)
    return f"{_show(intake.listed)} lesions listed{f' (left out: {out})' if out else ''}, "


def _exclusions(results: Results) -> str:
    rules = f"Lesions {describe_inclusion(read_rules(results))}. " if section(results, "terms") else ""
    return (
        f"{rules}A lesion needs readable clips with both panes, an outline, and a track that can be trusted; each "
        "hospital's own list names what was left out and why"
    )


def _outcome(results: Results) -> str:
    confirmed = {}
    for cohort, rows in section(results, "table1").items():
        values = section(rows, "pathology_confirmed")
        total = sum(whole(n) or 0 for n in values.values())
        if total and cohort in COHORT_TITLES:
            confirmed[COHORT_TITLES[cohort]] = f"{_show(values.get('yes')) or 0} of {total}"
    text = f"One of six types a lesion ({', '.join(LESION_TYPES)}), as the hospital recorded it"
    return f"{text}. Confirmed by pathology: {join_parts(confirmed)}" if confirmed else text


def _selection_of_variables(results: Results) -> str:
    chosen, least = lookup(results, "statistics", "selected"), number(lookup(results, "statistics", "min_correlation"))
    if not chosen:
        return ""
    rule = (
        "" if least is None else f", for a correlation of more than {least:g} with a lesion type in the training data"
    )
    return f"Selected by the plan's rule{rule}: {', '.join(map(str, chosen)).replace('_', ' ')}"


def _numbers(results: Results) -> str:
    parts = {}
    for cohort in tested_cohorts(results):
        support = section(results, "cohorts", cohort, "support")
        parts[COHORT_TITLES[cohort]] = ", ".join(f"{name} {_show(n)}" for name, n in support.items())
    return join_parts(parts)


def _missing(results: Results) -> str:
    parts = {}
    for cohort, one in section(results, "missing").items():
        lesions, known = whole(one.get("lesions")) or 0, section(one, "known")
        lacking = {name: lesions - (whole(n) or 0) for name, n in known.items() if lesions > (whole(n) or 0)}
        parts[COHORT_TITLES.get(cohort, cohort)] = (
            ", ".join(f"{name} {n}" for name, n in lacking.items()) or "none missing"
        ) + f" (of {lesions})"
    how = "A missing value enters the nets as the mean, with a sign that it is missing"
    return f"{how}. {join_parts(parts)}" if parts else ""


def _preparation(results: Results) -> str:
    found = section(results, "terms", "processing")
    if not found:
        return ""
    frames = [_show(found.get(key)) for key in ("frames_to_peak", "frames_after")]
    starts = {"arrival": " from the arrival of contrast", "clip": " from the clip's beginning"}
    start = starts.get(str(found.get("start")), "")
    return (
        f"The outlined lesion is tracked and cropped; {frames[0]} key frames{start} to the peak of its "
        f"time-intensity curve and {frames[1]} after it, {_show(found.get('size'))} px; "
        f"{_show(found.get('flow_maps'))} maps of optical flow, {_show(found.get('flow_size'))} px; levels and "
        "clinical variables are standardised by federated moments"
    )


def _training(results: Results) -> str:
    parts = {}
    for stage in lookup(results, "terms", "stages") or []:
        if lookup(stage, "stage") == "train":
            rule = section(stage, "rule")
            parts[str(stage.get("name"))] = (
                f"{', '.join(_names(stage.get('nets')))} on {', '.join(_names(stage.get('cohorts')))}, "
                f"{_show(stage.get('rounds'))} rounds, {lookup(stage, 'strategy', 'name') or 'fedavg'}, "
                f"{whole(rule.get('epochs')) or 1} local epochs, batches of {_show(rule.get('batch_size'))}, "
                f"learning rate {number(rule.get('learning_rate')):g}"
                if number(rule.get("learning_rate")) is not None
                else f"{_show(stage.get('rounds'))} rounds"
            )
    return join_parts(parts)


def _choice(results: Results) -> str:
    if "chosen_on" not in results:
        return ""
    chosen = section(results, "chosen_on")
    if not chosen:
        return "The nets of the last round (or their mean, under noise) are kept: none was chosen by its results"
    where = ", ".join(COHORT_TITLES.get(c, c) for c in chosen)
    return f"The round with the lowest loss on {where} is kept; figures there are optimistic"


def _specification(results: Results) -> str:
    shape = section(results, "terms", "architecture")
    nets = len(section(results, "digests"))
    if not nets:
        return ""
    text = f"{nets} nets, whose digests are in the section Provenance and whose weights are in the bundle"
    if not shape:
        return text
    return (
        f"{text}; two streams (ResNet{_show(shape.get('spatial_depth'))} over frames, "
        f"ResNet{_show(shape.get('temporal_depth'))} over flow), an LSTM over each, width {_show(shape.get('width'))}; "
        "fusion nets over nine probabilities and clinical variables"
    )


def _imbalance(results: Results) -> str:
    weights = section(results, "statistics", "class_weights")
    return (
        f"Losses weigh the classes of {len(weights)} nets by their frequency; nothing was resampled" if weights else ""
    )


def _manufacturers(results: Results) -> str:
    names = {
        name
        for rows in section(results, "table1").values()
        for name, n in section(rows, "manufacturer").items()
        if n and name != "unknown"
    }
    return f"Manufacturers: {', '.join(sorted(names))}" if names else ""


def _characteristics(results: Results) -> str:
    return "Table 1, by cohort: section Cohorts" if section(results, "table1") else ""


def _robustness(results: Results) -> str:
    made = section(results, "experiments")
    return f"Experiments in this report: {', '.join(made)}" if made else ""


def _privacy(results: Results) -> str:
    if not section(results, "privacy"):
        return ""
    levels = section(results, "privacy", "levels")
    told = f" Levels by stage: {', '.join(f'{k} {v}' for k, v in levels.items())}." if levels else ""
    epsilon = number(lookup(results, "privacy", "epsilon"))
    spent = "no noise, so no bound ε is stated" if epsilon is None else f"ε at most {epsilon:.3g} a patient"
    return f"Images, ids and values stay at the hospitals; sums leave, {spent}.{told}"


def _software(results: Results) -> str:
    torch = lookup(results, "computed_with", "torch")
    version = lookup(results, "fedceus")
    return f"fedceus {version}" + (f", torch {torch}" if torch else "") if version else ""


def _plan(results: Results) -> str:
    name, digest, seed = lookup(results, "plan"), lookup(results, "plan_digest"), whole(lookup(results, "seed"))
    drawn = "" if seed is None else f", seed {seed}"
    return f"Plan {name}, SHA-256 {digest}{drawn}" if digest else ""


ANSWERS: Mapping[str, Callable[[Results], str]] = {
    "sources": _sources,
    "setting": _setting,
    "flow": _flow,
    "exclusions": _exclusions,
    "outcome": _outcome,
    "selection_of_variables": _selection_of_variables,
    "numbers": _numbers,
    "missing": _missing,
    "preparation": _preparation,
    "training": _training,
    "choice": _choice,
    "specification": _specification,
    "imbalance": _imbalance,
    "performance": describe_performance(TEST_COHORTS),
    "performance_internal": describe_performance(TEST_COHORTS[:1]),
    "performance_external": describe_performance(TEST_COHORTS[1:]),
    "heterogeneity": describe_heterogeneity,
    "fairness": describe_fairness,
    "failures": describe_failures,
    "manufacturers": _manufacturers,
    "characteristics": _characteristics,
    "benchmark": describe_benchmark,
    "robustness": _robustness,
    "privacy": _privacy,
    "software": _software,
    "plan": _plan,
}
"""Answers that depend on the run."""
