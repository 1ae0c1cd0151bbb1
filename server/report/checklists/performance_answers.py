"""What a run answers of how good the model is: performance, differences between sites and groups, failures, readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ceus_models.study.subgroups import VARIABLE_TITLES
from ceus_models.study.taxonomy import COHORTS, FUSION_MODELS, TEST_COHORTS
from server.report.cells import format_count
from server.report.values import COHORT_TITLES, Results, lookup, metric, models_of, number, section, whole


def join_parts(parts: Mapping[str, str]) -> str:
    """`Name: text; name: text` of those that have a text."""
    return "; ".join(f"{name}: {text}" for name, text in parts.items() if text)


def describe_performance(cohorts: tuple[str, ...]) -> Callable[[Results], str]:
    """What gives the accuracy of the fullest model on each of these cohorts."""

    def describe(results: Results) -> str:
        parts = {}
        for cohort in cohorts:
            models = models_of(results, cohort)
            found = metric(results, cohort, models[-1], "accuracy") if models else None
            if found is not None:
                ends = "" if found.low is None or found.high is None else f" ({found.low:.3f} to {found.high:.3f})"
                parts[COHORT_TITLES[cohort]] = f"accuracy of {models[-1]} {found.value:.3f}{ends}, n = {found.n}"
        return join_parts(parts) and f"{join_parts(parts)}. All metrics: section Test sets"

    return describe


def describe_heterogeneity(results: Results) -> str:
    """How much the sites that may be shown differ, by cohort."""
    parts = {}
    for cohort in TEST_COHORTS:
        for model in reversed(FUSION_MODELS):
            found = section(results, "heterogeneity", cohort, f"fusion/{model}")
            low, high, i_squared = (
                number(x) for x in (*(lookup(found, "prediction", k) for k in ("low", "high")), found.get("i_squared"))
            )
            if low is not None and high is not None and i_squared is not None:
                shown = f"I² {100 * i_squared:.0f} %, prediction interval {low:.3f} to {high:.3f}"
                parts[COHORT_TITLES[cohort]] = f"{format_count(whole(found.get('sites')))} sites, {shown}"
                break
    return join_parts(parts)


def describe_fairness(results: Results) -> str:
    """The largest gap of each variable, and that beyond lesion types."""
    gaps = section(results, "gaps")
    place: Mapping[str, Any] = next((gaps[name] for name in ("all_tests", *reversed(COHORTS)) if name in gaps), {})
    net = next((name for name in reversed(list(place)) if name.startswith("fusion/")), "")
    parts = {}
    for variable, one in section(place, net).items():
        value, low, high = (number(lookup(one, "difference", key)) for key in ("value", "low", "high"))
        if value is not None and low is not None and high is not None:
            parts[VARIABLE_TITLES.get(variable, variable)] = (
                f"{one.get('highest')} over {one.get('lowest')} by {value:.3f} ({low:.3f} to {high:.3f})"
            ) + _describe_adjusted(section(one, "adjusted"))
    return join_parts(parts)


def _describe_adjusted(found: Mapping[str, Any]) -> str:
    value = number(lookup(found, "difference", "value"))
    who = f"{found.get('highest')} over {found.get('lowest')}"
    return "" if value is None else f", beyond lesion types {who} by {value:.3f}"


def describe_failures(results: Results) -> str:
    """The most frequent confusions of the fullest model."""
    for place in ("all_tests", "external_tests", *TEST_COHORTS):
        for model in reversed(FUSION_MODELS):
            found = lookup(results, "misdiagnoses", place, f"fusion/{model}", "frequent")
            if found:
                return ", ".join(f"{one['true']} called {one['said']}: {one['count']} of {one['of']}" for one in found)
    return ""


def describe_benchmark(results: Results) -> str:
    """The performance, and the fullest model beside the readers."""
    beside = join_parts(
        {COHORT_TITLES.get(c, c): _describe_readers(one) for c, one in section(results, "readers").items()}
    )
    return "; ".join(filter(None, (describe_performance(TEST_COHORTS)(results), beside)))


def _describe_readers(found: Mapping[str, Any]) -> str:
    parts = [f"{len(section(found, 'readers'))} readers"]
    for group, entry in section(found, "multi_reader").items():
        net = next(reversed(list(section(entry, "against"))), "")
        one = section(entry, "against", net, "alone")
        value, low, high = (number(one.get(key)) for key in ("value", "low", "high"))
        if value is not None and low is not None and high is not None:
            name = net.removeprefix("fusion/")
            parts.append(f"{name} minus group {group} alone {value:+.3f} ({low:+.3f} to {high:+.3f})")
    return ", ".join(parts)
