"""The report and the terminal table: everything of results.json appears, nothing else does, nothing is fetched."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from statsmodels.stats.proportion import proportion_confint

from ceus_models.figures.canvas import render_svg
from ceus_models.study.taxonomy import CLINICAL_NAMES, FUSION_MODELS, FUSION_NETS, LESION_TYPES, SUBMODELS, TEST_COHORTS
from server.report import cells
from server.report.figures.panels import SQUARE, legend_below
from server.report.page import render_report
from server.report.reference_study import study_metric
from server.report.terminal_table import print_results
from server.report.values import Estimate

VOID = {"meta", "link", "br", "img", "hr", "input"}
METRICS = ("accuracy", "macro_auc", "macro_specificity", "macro_recall", "macro_precision", "macro_npv", "macro_f1")
SUPPORTS = {
    "internal_test": (13, 5, 2, 1, 2, 2),
    "external_test_a": (24, 10, 3, 4, 5, 3),
    "external_test_b": (52, 29, 7, 13, 10, 8),
    "external_test_c": (134, 72, 28, 31, 25, 22),
}


def estimate(value: float, n: int, resolution: float | None = None) -> dict[str, Any]:
    half = 1.96 * float(np.sqrt(value * (1 - value) / n))
    found = {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}
    return found if resolution is None else {**found, "resolution": resolution}


def roc(auc: float) -> dict[str, list[float]]:
    """The ROC y = x^a, whose area is 1 / (1 + a)."""
    x = np.linspace(0, 1, 400)
    return {"fpr": x.tolist(), "tpr": (x ** (1 / auc - 1)).tolist()}


def model_results(skill: float, support: tuple[int, ...], draw: np.random.Generator) -> dict[str, Any]:
    n = sum(support)
    rows = [
        draw.multinomial(k, [skill if j == i else (1 - skill) / 5 for j in range(6)]) for i, k in enumerate(support)
    ]
    confusion = np.array(rows)
    hits = np.diag(confusion)
    wrong = confusion.sum(0) + confusion.sum(1) - 2 * hits
    aucs = {name: float(draw.uniform(0.8, 0.97)) for name in LESION_TYPES}
    return {
        **{name: estimate(float(draw.uniform(0.75, 0.95)), n) for name in METRICS},
        "accuracy": estimate(float(hits.sum() / n), n),
        "macro_auc": estimate(float(np.mean(list(aucs.values()))), n, 0.0012),
        "one_vs_rest_accuracy": {name: estimate(1 - wrong[i] / n, n) for i, name in enumerate(LESION_TYPES)},
        "recall": {name: estimate(float(hits[i] / support[i]), support[i]) for i, name in enumerate(LESION_TYPES)},
        "auc": {name: estimate(value, n, 0.0012) for name, value in aucs.items()},
        "confusion": confusion.tolist(),
        "roc": {**{name: roc(value) for name, value in aucs.items()}, "macro": roc(0.9)},
    }


def cohort_results(cohort: str, draw: np.random.Generator) -> dict[str, Any]:
    support = SUPPORTS[cohort]
    skills = dict(zip(FUSION_MODELS, (0.7, 0.76, 0.78, 0.86), strict=True))
    return {
        "n": sum(support),
        "support": dict(zip(LESION_TYPES, support, strict=True)),
        "models": {model: model_results(skill, support, draw) for model, skill in skills.items()},
    }


def curve(draw: np.random.Generator, validated: bool) -> dict[str, Any]:
    rounds = list(range(1, 13))
    loss = [0.7 * float(np.exp(-k / 5)) + 0.1 + float(draw.normal(0, 0.01)) for k in rounds]
    found: dict[str, Any] = {"rounds": rounds, "training_loss": loss}
    if validated:
        found |= {"validation_rounds": [3, 6, 9, 12], "validation_loss": [0.55, 0.42, 0.38, 0.41]}
        found |= {"validation_auc": [0.7, 0.8, 0.84, 0.83], "best_round": 9}
    return found


def participation() -> list[dict[str, Any]]:
    plan = [("hello", "hello", 1, 52), ("statistics", "tally", 1, 52), ("submodels", "train", 12, 36)]
    plan += [("fusion", "train", 12, 13), ("evaluation", "evaluate", 1, 52)]
    found = []
    for stage, kind, rounds, asked in plan:
        for number in range(1, rounds + 1):
            refused = {"site-07": "the site's policy allows at most 5 epochs"} if kind == "train" else {}
            lost = {"site-11": "no answer within 60 s"} if number % 4 == 0 else {}
            excluded = {"site-03": "<script>alert(1)</script> is not finite"} if number == 5 else {}
            answered = asked - len(lost)
            counted = answered - len(refused) - len(excluded)
            entry = {"stage": stage, "round": number, "kind": kind, "registered": 52, "asked": asked}
            entry |= {"answered": answered, "counted": counted, "seconds": 2.5}
            found.append({**entry, "refused": refused, "excluded": excluded, "lost": lost})
    return found


def correlations(draw: np.random.Generator) -> dict[str, dict[str, float]]:
    return {name: {kind: float(draw.normal(0, 0.25)) for kind in LESION_TYPES} for name in CLINICAL_NAMES}


def synthetic() -> dict[str, Any]:
    """Results with every section, in the shape of results.json."""
    draw = np.random.default_rng(5)
    nets = SUBMODELS + FUSION_NETS
    counts = {"training_a": (170, 95, 19, 16, 14, 0), "validation": (45, 24, 5, 5, 5, 0)}
    accuracies = {cohort: estimate(0.84, sum(support)) for cohort, support in SUPPORTS.items()}
    return {
        "fedceus": "0.1.0",
        "plan": "demo",
        "plan_digest": hashlib.sha256(b"plan").hexdigest(),
        "seed": 1,
        "link": "memory",
        "computed_with": {
            "processor": "Slow 9000, family 3",
            "pinned": True,
            "onednn_instructions": "AVX2",
            "torch_threads": 1,
            "pyav": "17.0.1",
            "ffmpeg": "libavcodec 62.28.102",
        },
        "simulated": True,
        "workers": 2,
        "cohorts": {cohort: cohort_results(cohort, draw) for cohort in TEST_COHORTS},
        "nets": {
            net: {
                "validation": {
                    "auc": estimate(0.78 + 0.02 * place, 84, 0.0007),
                    "positives": 40 - 4 * place,
                    "negatives": 44 + 4 * place,
                    "roc": roc(0.78 + 0.02 * place),
                }
            }
            for place, net in enumerate(SUBMODELS)
        },
        "curves": {
            "submodels": {net: curve(draw, True) for net in SUBMODELS},
            "fusion": {net: curve(draw, False) for net in FUSION_NETS},
        },
        "statistics": {
            "selected": list(CLINICAL_NAMES[:9]),
            "correlations": correlations(draw),
            "types": {name: dict(zip(LESION_TYPES, row, strict=True)) for name, row in counts.items()},
        },
        "participation": participation(),
        "digests": {net: hashlib.sha256(net.encode()).hexdigest() for net in nets},
        "stages": {
            "hospitals": {"seconds": 61.2, "peak_memory_mb": 812.0},
            "submodels": {"seconds": 140.6, "peak_memory_mb": 1904.0},
            "fusion": {"seconds": 12.9, "peak_memory_mb": None},
        },
        "skipped": {"the outline lies outside the frame": 2, "the video cannot be decoded": 1},
        "comparison": {
            "federated": accuracies,
            "pooled": {cohort: estimate(0.853, sum(support)) for cohort, support in SUPPORTS.items()},
            "alone": {f"site-{k:02d}": {c: estimate(0.4 + 0.02 * k, 100) for c in SUPPORTS} for k in (1, 2, 9)},
        },
    }


class Page(HTMLParser):
    """Collects ids, links, text and figures; complains about elements that do not nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.figures: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.references += [value for name, value in found.items() if name in {"href", "src", "xlink:href", "srcset"}]
        if tag == "svg":
            self.figures.append(found["aria-label"])

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.text += data + " "


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    return page


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(synthetic()))
    return loaded


@pytest.fixture(scope="module")
def html(results: dict[str, Any]) -> str:
    return render_report(results)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return parsed(html)


def test_the_page_is_well_formed_and_its_ids_are_unique(page: Page) -> None:
    assert page.faults == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inner = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert inner <= set(page.ids)


def test_the_page_needs_no_network_and_no_script(html: str, page: Page) -> None:
    assert not {"script", "iframe", "object", "embed", "img"} & page.tags
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    names = set(re.findall(r"https?://[^\"' <]+", html))
    assert names <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # XML names, never fetched


def test_every_figure_is_there(page: Page) -> None:
    for cohort in ("Internal test", "External test A", "External test B", "External test C"):
        assert any("lesion types" in name and cohort in name for name in page.figures)
        for model in FUSION_MODELS:
            assert f"ROC curves: {cohort}, model {model}" in page.figures
            assert f"Confusion matrix: {cohort}, model {model}" in page.figures
    for net in SUBMODELS + FUSION_NETS:
        assert f"Learning curve of {net}" in page.figures
    for name in ("Accuracy of the four models", "AUC of the sub-models", "Who took part", "ROC curves: Disease nets"):
        assert any(figure.startswith(name) for figure in page.figures), name


def test_the_numbers_of_the_results_are_in_the_text(results: dict[str, Any], page: Page) -> None:
    for cohort in TEST_COHORTS:
        for model in FUSION_MODELS:
            found = results["cohorts"][cohort]["models"][model]
            for wanted in [found[name] for name in METRICS]:
                assert f"{wanted['value']:.3f}" in page.text
                assert f"{wanted['low']:.3f}–{wanted['high']:.3f}" in page.text
        assert f"{study_metric(cohort, 'DCB', 'accuracy').value:.2f}" in page.text  # type: ignore[union-attr]
    for digest in [results["plan_digest"], *results["digests"].values()]:
        assert digest in page.text
    for text in (
        "AFP",
        "±0.02",
        "the video cannot be decoded",
        "no answer within 60 s",
        "site-11",
        "140.6",
        "Slow 9000",
        "AVX2",
    ):
        assert text in page.text


def test_a_coarse_auc_has_its_bound_below_it() -> None:
    assert cells.format_value(Estimate(0.9, 0.8, 1.0, 12, 0.0512)).below == ("0.800–1.000", "±0.051")
    assert cells.format_value(Estimate(0.9, 0.8, 1.0, 300, 0.0012)).below == ("0.800–1.000",)


def test_federated_and_pooled_stand_beside_each_other_also_over_all_tests(results: dict[str, Any]) -> None:
    found = {"comparison": results["comparison"], "design": {"all_tests": {"effect": 1.1}}}
    text = " ".join(parsed(render_report(found)).text.split())
    lesions = {cohort: sum(support) for cohort, support in SUPPORTS.items()}
    accuracy = {c: results["comparison"]["federated"][c]["value"] for c in SUPPORTS}
    whole = sum(accuracy[c] * n for c, n in lesions.items()) / sum(lesions.values())
    n, effect = sum(lesions.values()), 1.1
    ours, pooled = (
        "{:.3f} {:.3f}–{:.3f}".format(value, *proportion_confint(value * n / effect, n / effect, method="wilson"))
        for value in (whole, 0.853)
    )
    assert f"All test sets together {ours} {pooled} {whole - 0.853:+.3f} – 0.580 0.480 3" in text
    assert f"Internal test {accuracy['internal_test']:.3f}" in text
    del found["comparison"]["federated"]["internal_test"]["n"]
    assert "All test sets together –" in " ".join(parsed(render_report(found)).text.split())


def test_legends_lie_below_the_curves_and_ticks_keep_their_digits() -> None:
    drawn: list[Axes] = []

    def draw(figure: Figure) -> None:
        drawn.append(figure.subplots())
        for name in (*LESION_TYPES, "macro"):
            drawn[0].plot([0, 1], [0, 0], label=f"{name}  0.999")
        drawn[0].set(xlabel="1 - specificity", title="loss 1.80461")
        legend_below(drawn[0], "AUC")

    text = render_svg("n", "t", SQUARE, draw)
    legend = drawn[0].get_legend()
    assert legend is not None
    box, label = legend.get_window_extent(), drawn[0].xaxis.label.get_window_extent()
    assert 0 <= box.y0 < box.y1 < label.y0
    assert 0 <= box.x0 < box.x1 <= 72 * SQUARE.width
    assert "1.80461" in text
    assert not re.search(r'd="[^"]*\d\.\d{4}', text)


def test_the_headline_names_the_last_cohort_its_size_and_its_commonest_type(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "of the 312 lesions of external test C" in text
    assert f"always answering HCC would be right in {100 * 134 / 312:.1f} %" in text


def test_what_sites_say_is_escaped(html: str, page: Page) -> None:
    assert "<script>" not in html
    assert "<script>alert(1)</script> is not finite" in page.text


def test_a_hostile_name_of_a_site_is_escaped_wherever_it_stands(results: dict[str, Any]) -> None:
    name = "<script>alert('site')</script>"
    entry = {**results["participation"][0], "lost": {name: name}}
    points = [{"x": 0.1, "value": 0.8, "low": 0.7, "high": 0.9}]
    lines = {"kind": "lines", "xlabel": name, "ylabel": name, "series": [{"label": name, "points": points}]}
    trial = {"title": name, "columns": [name], "rows": [[name]], "finding": name, "figure": lines}
    some = {
        "plan": name,
        "cohorts": {"external_test_c": small_cohort(results, "external_test_c")},
        "participation": [entry],
        "skipped": {name: 1},
        "sites": {"external_test_c": {"fusion/DCB": {name: {"n": 12, "value": 0.75}}}},
        "privacy": {"levels": {name: "sums"}, "cohorts": {name: {"epsilon": 2.5}}},
        "experiments": {name: trial},
        "digests": {name: name},
    }
    page = render_report(some)
    assert "<script" not in page
    assert parsed(page).text.count(name) == 21


def test_phantoms_are_called_phantoms_and_patients_are_not(results: dict[str, Any], page: Page) -> None:
    assert "Phantom data" in page.text
    small = {"simulated": False, "link": "grid", "seed": 3}
    real = parsed(render_report(small)).text
    assert "Phantom data" not in real
    assert "not a medical device" in page.text
    assert "not a medical device" in real
    assert "Phantom data" in parsed(render_report({"link": "processes"})).text


def test_missing_sections_are_left_out(page: Page) -> None:
    empty = parsed(render_report({"fedceus": "0.1.0", "plan": "demo"}))
    assert empty.figures == []
    assert [name for name in empty.ids if "-" not in name] == ["provenance"]
    assert empty.faults == []
    assert {"headline", "cohorts", "modules", "models", "comparison", "participation"} <= set(page.ids)


def small_cohort(results: dict[str, Any], cohort: str) -> dict[str, Any]:
    """The results of a cohort with one model only, which draw fast."""
    found = results["cohorts"][cohort]
    return {**found, "models": {"DCB": found["models"]["DCB"]}}


def blanked(raw: Any) -> Any:
    """Every number replaced by null, as where all support is too small."""
    if isinstance(raw, dict):
        return {key: blanked(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [blanked(value) for value in raw]
    return raw if isinstance(raw, str) else None


def test_values_that_are_null_show_as_dashes() -> None:
    nothing = parsed(render_report(blanked(synthetic())))
    assert nothing.faults == []
    assert "–" in nothing.text
    assert not re.search(r"\bnan\b|\bNone\b", nothing.text)


def test_one_metric_that_is_null_leaves_the_others(results: dict[str, Any]) -> None:
    some = {"cohorts": {"external_test_c": copy.deepcopy(small_cohort(results, "external_test_c"))}}
    model = some["cohorts"]["external_test_c"]["models"]["DCB"]
    model["recall"]["OT"] = model["macro_auc"] = model["one_vs_rest_accuracy"]["OT"] = model["roc"]["OT"] = None
    found = parsed(render_report(some))
    assert "Radar" in found.text
    assert f"{model['accuracy']['value']:.3f}" in found.text
    assert "ROC curves: External test C, model DCB" in found.figures


def test_the_same_results_give_the_same_page(results: dict[str, Any]) -> None:
    kept = ("statistics", "participation", "digests", "stages", "skipped", "comparison")
    some = {"cohorts": {"internal_test": small_cohort(results, "internal_test")}, **{key: results[key] for key in kept}}
    assert render_report(some) == render_report(copy.deepcopy(some))


def printed(results: dict[str, Any]) -> str:
    out = io.StringIO()
    print_results(results, Console(file=out, width=120, color_system=None))
    return out.getvalue()


def test_the_terminal_shows_models_and_nets(results: dict[str, Any]) -> None:
    text = printed(results)
    rows = [line for line in text.splitlines() if re.search(r"\bDCB\b", line)]
    assert len(rows) == len(TEST_COHORTS)
    for cohort, row in zip(TEST_COHORTS, rows, strict=True):
        found = results["cohorts"][cohort]["models"]["DCB"]
        accuracy = found["accuracy"]
        assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in row
        for wanted in (found["macro_auc"], found["macro_f1"], found["recall"]["OT"]):
            assert f"{wanted['value']:.3f}" in row
    for net in SUBMODELS:
        assert f"{results['nets'][net]['validation']['auc']['value']:.3f}" in text
    assert "Phantom data" in text


def test_the_terminal_shows_a_dash_for_null() -> None:
    text = printed(blanked(synthetic()))
    assert "–" in text
    assert "None" not in text
    assert printed({}) == ""
