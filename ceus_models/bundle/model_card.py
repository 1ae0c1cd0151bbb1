"""The model card of a bundle (Mitchell et al. 2019) as Markdown: training data, performance, participants, limits.

It is made from the bundle's own files, so card and bundle cannot disagree. Results that a study lacks are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ceus_models.bundle.committee_summary import describe_for_committee, name_place
from ceus_models.study.taxonomy import COHORTS, FUSION_NETS

RESEARCH_ONLY = "For research only. fedceus is not a medical device, and must not guide the care of a patient."
_SHOWN_METRICS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "macro_auc": "macro-AUC",
    "macro_specificity": "macro-specificity",
    "macro_recall": "macro-recall",
    "macro_precision": "macro-precision",
    "macro_npv": "macro-NPV",
    "macro_f1": "macro-F1",
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}
_TOO_COARSE = 0.05
"""A metric whose stated bound is wider is left out, as in the report."""
_SHARED = {"separate": "", "trunk": ", one of them a trunk with a head for each disease and biomarker"}
"""What is said of the sub-models."""
_LIMITS = (
    "The model knows six types of lesion; what is none of them gets one of the six names.",
    "It was trained on lesions that were sent for contrast-enhanced ultrasound, one outlined lesion at a time.",
    "Lesions that look unlike those of training (`ceus-site predict` warns of them) were never tested.",
    "Intervals speak of the sampling of lesions alone, not of new scanners, hospitals or populations.",
)


def render_model_card(about: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """Render the card as Markdown.

    Args:
        about: the content of bundle.json.
        study: the content of study.json, {} where the bundle has none.
    """
    results = study.get("results", {})
    simulated = results.get("simulated")
    parts = [
        f"# Model card: {about['provenance'].get('plan', 'a study')} (fedceus)",
        f"**{RESEARCH_ONLY}**"
        + (" The hospitals were phantoms: no patient is behind any number." if simulated else ""),
        *_render_section("In short, for a committee", describe_for_committee(results)),
        *_render_section("What it is", _describe_nets(about)),
        *_render_section("Trained on", _describe_training(about, results)),
        *_render_section("How well it does", _describe_metrics(results)),
        *_render_section("Whether its probabilities can be believed", _describe_calibration(results)),
        *_render_section("Thresholds", [_describe_thresholds(about)]),
        *_render_section("Who took part", _describe_participation(results)),
        *_render_section("Privacy", [_describe_privacy(study.get("privacy", {}))]),
        *_render_section("Limits", ["\n".join(f"- {limit}" for limit in _LIMITS)]),
        *_render_section("Provenance", _describe_provenance(about)),
    ]
    return "\n\n".join(parts) + "\n"


def _render_section(title: str, parts: Iterable[str]) -> Iterator[str]:
    content = [part for part in parts if part]
    if content:
        yield f"## {title}"
        yield from content


def _render_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]) if lines else ""


def _describe_nets(about: Mapping[str, Any]) -> Iterator[str]:
    recipe, processing = about["recipe"], about["processing"]
    selected = ", ".join(recipe["selected"]).replace("_", " ")
    shape, shared = recipe["architecture"], _SHARED[recipe.get("sharing", "separate")]
    yield (
        f"{len(about['nets'])} nets{shared}. Two streams a net: ResNet{shape['spatial_depth']} over "
        f"{processing['frames_to_peak'] + processing['frames_after']} key frames of {processing['size']} px, "
        f"ResNet{shape['temporal_depth']} over {processing['flow_maps']} flow maps of {processing['flow_size']} px, "
        f"width {shape['width']}, norm {shape['norm']}, an LSTM over each, weighted adaptively. A fusion net turns the "
        f"nine probabilities and {len(recipe['selected'])} clinical variables ({selected}) into "
        f"the types {', '.join(about['taxonomy']['lesion_types'])}."
    )


def _describe_training(about: Mapping[str, Any], results: Mapping[str, Any]) -> Iterator[str]:
    types = results.get("statistics", {}).get("types", {})
    names = about["taxonomy"]["lesion_types"]
    rows = [[name_place(c), *(types[c].get(name, 0) for name in names)] for c in COHORTS if c in types]
    yield _render_table(("lesions with a type", *names), rows)
    typical = about.get("typical")
    if typical:
        figures = typical["figures"].items()
        yield f"What {typical['lesions']} training lesions look like; lesions far from it are warned of:"
        yield _render_table(
            ("figure", "lesions", "mean", "standard deviation"),
            [(name, f["lesions"], f"{f['mean']:.4g}", f"{f['sd']:.4g}") for name, f in figures],
        )


def _describe_metrics(results: Mapping[str, Any]) -> Iterator[str]:
    """Tables of every net with its 95 % intervals, cohort by cohort."""
    if results.get("cohorts") or results.get("nets"):
        yield "Behind a value: its 95 % interval, of a proportion by Wilson's score, else by a bootstrap of lesions."
    if chosen := results.get("chosen_on"):
        where = ", ".join(map(name_place, chosen))
        yield f"Rounds were chosen by their loss on {where}: figures of nets trained so are optimistic there."
    for cohort, entry in results.get("cohorts", {}).items():
        models = {f"fusion/{name}": found for name, found in entry.get("models", {}).items()}
        yield _render_scores(f"{name_place(cohort)} (n = {entry.get('n', '?')})", models)
    nets = results.get("nets", {})
    for cohort in sorted({cohort for found in nets.values() for cohort in found}, key=_rank_cohort):
        own = {net: found[cohort] for net, found in nets.items() if cohort in found}
        for binary in (True, False):
            kind = {net: found for net, found in own.items() if ("positives" in found) == binary}
            yield _render_scores(name_place(cohort), kind)


def _rank_cohort(cohort: str) -> int:
    return COHORTS.index(cohort) if cohort in COHORTS else len(COHORTS)


def _render_scores(title: str, nets: Mapping[str, Mapping[str, Any]]) -> str:
    shown = [name for name in _SHOWN_METRICS if any(_format_estimate(found.get(name)) for found in nets.values())]
    rows = [
        [net, _format_lesions(found), *(_format_estimate(found.get(name)) for name in shown)]
        for net, found in nets.items()
    ]
    return _render_table((title, "lesions", *(_SHOWN_METRICS[name] for name in shown)), rows) if shown else ""


def _format_lesions(found: Mapping[str, Any]) -> str:
    n, positives = found.get("n", "?"), found.get("positives")
    return f"{n}" if positives is None else f"{n}, {positives} positive"


def _format_estimate(found: object) -> str:
    """A value with its interval, "" where `found` is not an estimate, or is one that bins leave too far open."""
    if not isinstance(found, Mapping) or not isinstance(found.get("value"), int | float):
        return ""
    if (found.get("resolution") or 0.0) > _TOO_COARSE:
        return ""
    low, high = found.get("low"), found.get("high")
    interval = f" ({low:.3f} to {high:.3f})" if isinstance(low, int | float) and isinstance(high, int | float) else ""
    return f"{found['value']:.3f}{interval}"


def _describe_calibration(results: Mapping[str, Any]) -> Iterator[str]:
    """Brier score (Brier 1950), ECE (Naeini et al. 2015), and the reliability curve of the last fusion net."""
    found = [(net, cohort, one) for net, cohort, one in _iterate_scores(results) if _select_reliability(one)]
    if not found:
        return
    yield (
        "Brier's score: the mean squared error of the probabilities (of several types: summed over them; 0 is best). "
        "ECE: how far probability and share of lesions lie apart, on average over ten even bins (of several types: all "
        "of them together). Probabilities "
        "are given as the nets say them; nothing was recalibrated."
    )
    rows = [
        (
            net,
            name_place(cohort),
            one.get("n", "?"),
            _format_estimate(one.get("brier")),
            f"{_select_reliability(one)['ece']:.3f}",
        )
        for net, cohort, one in found
    ]
    yield _render_table(("net", "lesions of", "n", "Brier's score", "ECE"), rows)
    last = [net for net, _, _ in found if net in FUSION_NETS][-1:]
    bins = [
        (name_place(cohort), f"{predicted:.3f}", f"{observed:.3f}", n)
        for net, cohort, one in found
        if [net] == last
        for predicted, observed, n in zip(
            *(_select_reliability(one)[k] for k in ("predicted", "observed", "n")), strict=True
        )
    ]
    yield _render_table((f"{''.join(last)} on", "probability of a type", "share of the type", "lesions × types"), bins)


def _iterate_scores(results: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(net, cohort, metrics) of the fusion nets, then of all others."""
    for cohort, entry in results.get("cohorts", {}).items():
        yield from ((f"fusion/{name}", cohort, one) for name, one in entry.get("models", {}).items())
    for net, cohorts in results.get("nets", {}).items():
        yield from ((net, cohort, one) for cohort, one in cohorts.items())


def _select_reliability(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reliability curve of a binary net, or of all classes of a classifier; {} where there is none."""
    calibration: Mapping[str, Any] = found.get("calibration", {})
    whole: Mapping[str, Any] = calibration.get("all", calibration)
    return whole


def _describe_thresholds(about: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{net} {value:g}" for net, value in about["thresholds"].items())
    return f"A binary net is positive from a probability of: {listed}. The type is the most probable of the six."


def _describe_participation(results: Mapping[str, Any]) -> Iterator[str]:
    """One row a stage; every site that was left out is named."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for record in results.get("participation", []):
        stages.setdefault(record["stage"], []).append(record)
    rows = []
    for stage, records in stages.items():
        counted = {site for record in records for site in record["counted"]}
        out = {site for record in records for fate in ("refused", "excluded", "lost") for site in record.get(fate, {})}
        rows.append([stage, len(records), len(counted), ", ".join(sorted(out)) or "none"])
    yield _render_table(("stage", "rounds", "sites counted", "refused, excluded or lost in some round"), rows)


def _describe_privacy(privacy: Mapping[str, Any]) -> str:
    """ε of the study, or the largest of its sites."""
    by_site = [one.get("epsilon") for one in privacy.values() if isinstance(one, Mapping)]
    known = [float(epsilon) for epsilon in (privacy.get("epsilon"), *by_site) if epsilon is not None]
    if not known:
        return "Only sums left the sites. No noise was added to them, so no bound on privacy (ε) is stated."
    delta = f" at δ = {privacy['delta']:g}" if privacy.get("delta") else ""
    levels = ", ".join(f"{stage} {level}" for stage, level in dict(privacy.get("levels") or {}).items())
    told = f" Levels by stage: {levels}." if levels else ""
    return f"Only sums left the sites, with noise: ε = {max(known):.3g}{delta} spent at most by a patient.{told}"


def _describe_provenance(about: Mapping[str, Any]) -> Iterator[str]:
    facts = {**about["provenance"], "plan digest": about["plan"], "processing digest": about["processing_digest"]}
    yield _render_table(("what", "value"), [(name, f"`{value}`") for name, value in facts.items()])
    yield _render_table(
        ("net", "SHA-256 of its tensors"), [(net, f"`{digest}`") for net, digest in about["nets"].items()]
    )
