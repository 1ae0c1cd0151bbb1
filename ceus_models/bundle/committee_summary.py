"""The beginning of a model card, for a hospital's committee: what the model is for, how good it is, in whole lesions.

Everything is read from the results; what only the hospital can say is asked for in so many words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ceus_models.study.subgroups import VARIABLE_TITLES
from ceus_models.study.taxonomy import FUSION_MODELS, TEST_COHORTS, TYPE_NAMES

_PREVALENCES = {"0.10": "10 of 100 lesions are malignant", "0.50": "half of them are", "0.90": "90 of 100 are"}
_READERS = {"junior": "junior radiologists", "senior": "senior radiologists", "mri": "readers of MRI"}
_USE = (
    "- **For**: research into naming one outlined liver lesion in contrast-enhanced ultrasound as one of six types.\n"
    "- **Not for**: deciding on the care of a patient, finding lesions, lesions of other kinds, other imaging.\n"
    "- **Who reads it**: a person trained in liver ultrasound, who knows what the model was not shown."
)
_QUESTIONS = (
    "Who answers for its use here, and who may see its answers?",
    "Which patients, scanners and contrast agents will it meet, and which of them are in the tables below?",
    "How will its answers be checked on our own lesions before anybody acts on them, and how many are needed?",
    "What happens with a lesion that it warns of, or that it names without being sure?",
    "How is a worse performance noticed, and who stops it?",
)


def describe_for_committee(results: Mapping[str, Any]) -> Iterator[str]:
    """Paragraphs of Markdown; what the results lack is left out, the questions never are."""
    yield _USE
    facts = [
        *_describe_accuracy(results),
        *_describe_malignancy(results),
        *_describe_probabilities(results),
        *_describe_weakest(results),
        *_describe_differences(results),
    ]
    if facts:
        yield "\n".join(f"- {fact}" for fact in facts)
    yield "Questions for the committee, which no study answers:"
    yield "\n".join(f"{number}. {question}" for number, question in enumerate(_QUESTIONS, 1))


def name_place(place: str) -> str:
    """`external test C` of `external_test_c`, `all tests` of `all_tests`."""
    *words, last = place.split("_")
    return " ".join([*words, last.upper() if len(last) == 1 else last])


def _fullest(results: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]] | None:
    """The last test cohort, the fullest model on it and its metrics."""
    for cohort in reversed(TEST_COHORTS):
        models = results.get("cohorts", {}).get(cohort, {}).get("models", {})
        for name in reversed(FUSION_MODELS):
            if models.get(name):
                return cohort, name, models[name]
    return None


def _of_hundred(found: Any) -> str:
    """`86 of 100 (95 % interval 81 to 90)`; "" without a value."""
    if not isinstance(found, Mapping) or not isinstance(found.get("value"), int | float):
        return ""
    low, high = found.get("low"), found.get("high")
    interval = ""
    if isinstance(low, int | float) and isinstance(high, int | float):
        interval = f" (95 % interval {100 * low:.0f} to {100 * high:.0f})"
    return f"{100 * found['value']:.0f} of 100{interval}"


def _describe_accuracy(results: Mapping[str, Any]) -> Iterator[str]:
    found = _fullest(results)
    if found is None:
        return
    cohort, name, one = found
    said = _of_hundred(one.get("accuracy"))
    if said:
        yield f"On the {one.get('n', '?')} lesions of {name_place(cohort)}, model {name} names {said} rightly."
    support = {kind: n for kind, n in one.get("support", {}).items() if n}
    if support:
        commonest = max(support, key=lambda kind: support[kind])
        share = 100 * support[commonest] / sum(support.values())
        yield f"Always answering {TYPE_NAMES[commonest]} would be right for {share:.0f} of 100 of them."


def _find(entries: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The name in words, and the entry, of the widest place of the fullest model; entries: place → net → entry."""
    for place in ("all_tests", *reversed(TEST_COHORTS)):
        for name in reversed(FUSION_MODELS):
            if entry := entries.get(place, {}).get(f"fusion/{name}"):
                return name_place(place), entry
    return None


def _describe_malignancy(results: Mapping[str, Any]) -> Iterator[str]:
    place, use = _find(results.get("use", {})) or ("", {})
    found = use.get("predictive", {}).get("malignant", {})
    if found:
        said = _of_hundred(found["sensitivity"])
        yield f"Of the malignant lesions (HCC, HM, ICC) of {place} it calls {said} malignant."
    for key, words in _PREVALENCES.items():
        positive, negative = (_of_hundred(found.get(key, {}).get(name)) for name in ("ppv", "npv"))
        if positive and negative:
            yield f"Where {words}: of those it calls malignant {positive} are; of the others {negative} are not."


def _describe_probabilities(results: Mapping[str, Any]) -> Iterator[str]:
    found = _fullest(results)
    curve = {} if found is None else found[2].get("calibration", {}).get("all", {})
    if isinstance(curve.get("ece"), int | float):
        yield f"Its probabilities and how often they come true lie {100 * curve['ece']:.0f} of 100 apart on average."


def _describe_weakest(results: Mapping[str, Any]) -> Iterator[str]:
    found = _fullest(results)
    recalls = {} if found is None else found[2].get("recall", {})
    known = {kind: one for kind, one in recalls.items() if isinstance(one.get("value"), int | float)}
    if known:
        worst = min(known, key=lambda kind: known[kind]["value"])
        lesions = known[worst].get("n", "?")
        yield f"It is worst at {TYPE_NAMES[worst]}: {_of_hundred(known[worst])} are named so, of {lesions} lesions."


def _describe_differences(results: Mapping[str, Any]) -> Iterator[str]:
    """The largest gap between groups of patients, and how much hospitals differ."""
    if found := _find(results.get("gaps", {})):
        variable, one = max(found[1].items(), key=lambda item: float(item[1]["difference"]["value"]))
        adjusted = one.get("adjusted")
        beyond = f"; beyond what lesion types explain {_say_gap(adjusted)}" if adjusted else ""
        yield (
            f"The largest difference between groups ({_name_variable(variable)}) is {_say_gap(one)}{beyond}; "
            "groups differ in their lesions too."
        )
    yield from _describe_readers(results)
    if found := _find(results.get("heterogeneity", {})):
        low, high = (f"{100 * found[1]['prediction'][key]:.0f}" for key in ("low", "high"))
        yield (
            f"Hospitals differ: another one would see {low} to {high} of 100 named rightly (95 % prediction interval, "
            f"{found[1]['sites']} hospitals of {found[0]})."
        )


def _say_gap(found: Mapping[str, Any]) -> str:
    value, low, high = (f"{100 * found['difference'][key]:.0f}" for key in ("value", "low", "high"))
    return f"{found['highest']} over {found['lowest']} by {value} of 100 ({low} to {high})"


def _say_change(difference: float, of: str = "") -> str:
    """`8 fewer`, `4 of 100 more`: of a hundred lesions."""
    return f"{100 * abs(difference):.0f}{of} {'fewer' if difference < 0 else 'more'}"


def _name_variable(variable: str) -> str:
    """`viral hepatitis`, `tumour size`: its title without the unit."""
    title = VARIABLE_TITLES.get(variable, variable).partition(",")[0]
    return title[:1].lower() + title[1:]


def _describe_readers(results: Mapping[str, Any]) -> Iterator[str]:
    """The fullest model beside each group of readers alone, both taken as samples of more."""
    for cohort, found in results.get("readers", {}).items():
        for group, title in _READERS.items():
            against = found.get("multi_reader", {}).get(group, {}).get("against", {})
            name = next((model for model in reversed(FUSION_MODELS) if f"fusion/{model}" in against), "")
            one = against.get(f"fusion/{name}", {}).get("alone", {})
            if one.get("low") is None:
                continue
            low, high = (_say_change(one[key]) for key in ("low", "high"))
            verdict = "not worse" if one["non_inferior"] else "not shown to be not worse"
            yield (
                f"Beside {title} reading alone ({name_place(cohort)}) model {name} names "
                f"{_say_change(one['value'], ' of 100')} rightly (95 % interval {low} to {high}, other readers and "
                f"lesions in mind): {verdict} by more than "
                f"{100 * one['margin']:.0f} of 100."
            )
