"""The report's figures: what stands in the SVG is what the results say, small, deterministic and self-contained."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from matplotlib import rc_context

from ceus_models.figures.palette import MODEL_LOOKS, TYPE_LOOKS
from ceus_models.study.taxonomy import FUSION_MODELS, LESION_TYPES
from server.report.figures import model_figures, training
from server.report.figures.panels import thin_curve

MOST_BYTES = 60_000
SUPPORT = dict(zip(LESION_TYPES, (40, 30, 10, 8, 7, 5), strict=True))


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.08, "high": value + 0.04, "n": 100}


def fine_roc(power: float, points: int = 2049) -> dict[str, list[float]]:
    """y = x^p, whose area is 1 / (1 + p)."""
    x = np.linspace(0, 1, points)
    return {"fpr": x.tolist(), "tpr": (x**power).tolist()}


def results() -> dict[str, Any]:
    confusion = np.diag(list(SUPPORT.values()))
    confusion[0] = (23, 17, 0, 0, 0, 0)
    models = {
        model: {
            "accuracy": estimate(0.7 + 0.05 * place),
            "macro_auc": estimate(0.9),
            "auc": {name: estimate(0.85) for name in LESION_TYPES},
            "one_vs_rest_accuracy": {name: estimate(0.72 + 0.05 * place) for name in LESION_TYPES},
            "confusion": confusion.tolist(),
            "roc": {name: fine_roc(0.1 + 0.05 * k) for k, name in enumerate((*LESION_TYPES, "macro"))},
        }
        for place, model in enumerate(FUSION_MODELS)
    }
    entry = {"stage": "submodels", "registered": 10, "asked": 8, "answered": 6, "counted": 4, "idle": 1, "seconds": 1.0}
    away = {"refused": {"site-01": "policy"}, "excluded": {"site-02": "norm"}, "lost": {"site-03": "late"}}
    curve = {"rounds": [1, 2, 3, 4], "training_loss": [0.9, 0.5, 0.4, None], "best_round": 2}
    validation = {"validation_rounds": [2, 4], "validation_loss": [0.6, 0.7], "validation_auc": [0.81, 0.79]}
    nets = {
        name: {"validation": {"auc": estimate(0.8), "roc": fine_roc(0.2)}} for name in ("disease/HCC", "biomarker/Hep")
    }
    return {
        "cohorts": {"external_test_c": {"n": 100, "support": SUPPORT, "models": models}},
        "curves": {"submodels": {"disease/HCC": {**curve, **validation}}},
        "nets": nets,
        "participation": [{**entry, **(away if number % 5 else {}), "round": number} for number in range(1, 151)],
    }


def drawings(found: dict[str, Any]) -> dict[str, str | None]:
    return {
        "roc": model_figures.roc_figure(found, "external_test_c", "DCB"),
        "confusion": model_figures.confusion_figure(found, "external_test_c", "DCB"),
        "radar": model_figures.radar_figure(found, "external_test_c"),
        "accuracy": model_figures.accuracy_figure(found),
        "curve": training.curve_figure(found, "submodels", "disease/HCC"),
        "nets": training.nets_figure(found),
        "net roc": training.net_roc_figure(found, "disease"),
        "participation": training.participation_figure(found),
    }


@pytest.fixture(scope="module")
def drawn() -> dict[str, str | None]:
    return drawings(results())


def text_of(svg: str | None) -> list[str]:
    assert svg is not None
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def points_of(svg: str | None, gid: str) -> np.ndarray:
    """(n 2) vertices of the first path under the element whose id ends in `gid`."""
    assert svg is not None
    for element in ET.fromstring(svg).iter():
        if element.get("id", "").endswith(gid):
            path = next(child for child in element.iter() if child.tag.endswith("path"))
            return np.array(re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path.get("d", "")), dtype=float)
    raise AssertionError(f"no element {gid}")


def test_each_figure_is_well_formed_small_and_fetches_nothing(drawn: dict[str, str | None]) -> None:
    for name, svg in drawn.items():
        assert svg is not None, name
        assert ET.fromstring(svg).tag.endswith("svg")
        assert len(svg.encode()) <= MOST_BYTES, (name, len(svg))
        links = re.findall(r'href="(.)|url\((.)', svg)
        assert {"".join(link) for link in links} <= {"#"}
        assert "<script" not in svg
        assert "<image" not in svg


def test_the_same_numbers_give_the_same_bytes_whatever_the_users_style(drawn: dict[str, str | None]) -> None:
    with rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert drawings(results()) == drawn


def test_ids_differ_between_figures(drawn: dict[str, str | None]) -> None:
    ids = [name for svg in drawn.values() for name in re.findall(r'\bid="([^"]+)"', svg or "")]
    assert len(ids) == len(set(ids))


def test_the_roc_runs_along_its_curve(drawn: dict[str, str | None]) -> None:
    points = points_of(drawn["roc"], "roc-macro")
    x, y = (points - points[0]).T / (points[-1] - points[0])[:, None]
    # 0.02: a point is drawn at a hundredth of a typographic point, where the curve is steepest
    assert np.abs(y - x**0.4).max() < 0.02
    assert np.trapezoid(y, x) == pytest.approx(1 / 1.4, abs=0.003)
    assert "macro 0.900" in [" ".join(text.split()) for text in text_of(drawn["roc"])]


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    curve = fine_roc(0.1)
    x, y = thin_curve(curve["fpr"], curve["tpr"], 160)
    assert len(x) <= 162
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(np.trapezoid(curve["tpr"], curve["fpr"]), abs=1e-3)
    short = thin_curve([0, 0.5, 1], [0, 1, 1])
    assert short[0].tolist() == [0, 0.5, 1]


def test_the_confusion_matrix_shows_counts_and_the_share_of_the_true_type(drawn: dict[str, str | None]) -> None:
    texts = text_of(drawn["confusion"])
    assert texts.count("23") == texts.count("17") == 1
    assert f"{23 / 40:.0%}" in texts
    assert f"{17 / 40:.0%}" in texts
    assert texts.count("100%") == 5
    assert texts.count("0") == 36 - 7


def test_a_withheld_cell_of_the_confusion_matrix_is_a_dash() -> None:
    some = results()
    some["cohorts"]["external_test_c"]["models"]["DCB"]["confusion"][5][5] = None
    assert text_of(model_figures.confusion_figure(some, "external_test_c", "DCB")).count("–") == 1


def test_intervals_stand_on_one_scale(drawn: dict[str, str | None]) -> None:
    ends = {model: points_of(drawn["accuracy"], f"accuracy-external_test_c-{model}")[:, 0] for model in FUSION_MODELS}
    values = {model: 0.7 + 0.05 * place for place, model in enumerate(FUSION_MODELS)}
    per_unit = (ends["DCB"][1] - ends["D"][0]) / (values["DCB"] + 0.04 - values["D"] + 0.08)
    for model, (low, high) in ends.items():
        assert high - low == pytest.approx(0.12 * per_unit, abs=0.05)
        assert low - ends["D"][0] == pytest.approx((values[model] - values["D"]) * per_unit, abs=0.05)
    majority = points_of(drawn["accuracy"], "majority-external_test_c")[0, 0]
    assert majority - ends["D"][0] == pytest.approx((0.40 - 0.62) * per_unit, abs=0.05)


def test_the_radar_is_a_regular_hexagon_for_equal_values(drawn: dict[str, str | None]) -> None:
    corners = {model: points_of(drawn["radar"], f"radar-{model}")[:6] for model in ("D", "DCB")}
    center = corners["D"].mean(axis=0)
    radii = {model: np.hypot(*(points - center).T) for model, points in corners.items()}
    assert np.ptp(radii["D"]) < 0.1
    # the center is 0.7, the lowest value rounded down: 0.72 stands at 0.02, 0.87 at 0.17
    assert radii["DCB"].mean() / radii["D"].mean() == pytest.approx(0.17 / 0.02, rel=0.02)


def test_the_learning_curve_marks_the_kept_round_and_skips_null(drawn: dict[str, str | None]) -> None:
    losses = points_of(drawn["curve"], "training-loss")
    validation = points_of(drawn["curve"], "validation-loss")
    best = points_of(drawn["curve"], "best-round")
    assert len(losses) == 3
    assert best[0, 0] == pytest.approx(losses[1, 0], abs=0.02) == pytest.approx(validation[0, 0], abs=0.02)
    assert any("kept round 2, AUC 0.810" in text for text in text_of(drawn["curve"]))


def test_the_answers_of_a_round_add_up_to_the_registered_sites() -> None:
    entry = results()["participation"][0]
    found = training.outcomes(entry)
    assert found == {"counted": 4, "idle": 1, "refused": 1, "excluded": 1, "lost": 1, "not asked": 2}
    assert sum(found.values()) == entry["registered"]
    listed = {
        **entry,
        "registered": [f"site-{k}" for k in range(10)],
        "asked": ["site-1"] * 8,
        "counted": ["s"] * 4,
        "idle": ["s"],
    }
    assert training.outcomes(listed) == found


def test_nothing_to_draw_is_no_figure() -> None:
    assert set(drawings({}).values()) == {None}
    hollow = {"cohorts": {"external_test_c": {"models": {"DCB": {"accuracy": None, "roc": {"macro": None}}}}}}
    assert set(drawings(hollow).values()) == {None}


def test_series_differ_in_colour_line_and_marker() -> None:
    for looks in (TYPE_LOOKS, MODEL_LOOKS):
        for trait in ("colour", "line", "marker"):
            assert len({str(getattr(look, trait)) for look in looks.values()}) == len(looks)
