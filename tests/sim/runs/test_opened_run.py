"""A run as data frames: every number of results.json once, and replicates against scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from ceus_models.plan.stages import Evaluate
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import LESION_TYPES
from server.results.evaluation import Counts, compute_binary, compute_multi_class
from server.results.replicates import Resampling
from sim.runs import opened_run
from sim.runs.confusion_draws import ConfusionDraws
from sim.runs.opened_run import COMPARISON, CURVES, METRICS, PARTICIPATION, Run

DRAW = np.random.default_rng(5)
CONFUSION = DRAW.integers(1, 30, (6, 6))
TOTAL = {"internal_test|fusion/D|confusion": torch.from_numpy(CONFUSION)}


def evaluate(k: int) -> Counts:
    confusion = DRAW.integers(1, 20, (4, max(2, k), max(2, k))).astype(float)
    return Counts(confusion, DRAW.integers(0, 9, (4, k, 2, 32)).astype(float), 0.5, Resampling(1, 3))


@pytest.fixture
def results() -> dict[str, Any]:
    share = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40}
    record = {"stage": "submodels", "kind": "train", "seconds": 1.5}
    return {
        "cohorts": {"internal_test": {"n": 9, "models": {"D": compute_multi_class(evaluate(6), LESION_TYPES)}}},
        "nets": {"disease/HCC": {"validation": compute_binary(evaluate(1))}},
        "curves": {
            "submodels": {
                "disease/HCC": {
                    "rounds": [1, 2],
                    "training_loss": [0.9, 0.5],
                    "validation_rounds": [2],
                    "validation_loss": [0.6],
                    "best_round": 2,
                }
            }
        },
        "participation": [
            {**record, "round": 1, "counted": ["a"], "idle": ["c"], "lost": {"b": "no answer"}, "refused": {}},
            {**record, "round": 2, "counted": ["a", "b", "c"], "idle": [], "lost": {}, "refused": {}},
        ],
        "comparison": {
            "federated": {"internal_test": {"accuracy": share}},
            "pooled": {"internal_test": {"accuracy": share}},
            "alone": {"site-01": {"internal_test": {"accuracy": share}}},
            "classical": {"zones": {"internal_test": {"accuracy": share, "learned": 3}}},
            "nets": {"fusion/D": {"internal_test": share}},
            "equivalence": {},
        },
        "experiments": {
            "norms": {"title": "T", "columns": ["a", "b"], "rows": [["x", 1], ["y", None]], "finding": "F"}
        },
    }


def list_values(found: Any) -> Iterator[float | None]:
    if isinstance(found, dict):
        if "value" in found:
            yield found["value"]
        else:
            for inner in found.values():
                yield from list_values(inner)


def test_every_metric_is_one_row(results: dict[str, Any]) -> None:
    table = Run(Path(), results).metrics()
    assert list(table.columns) == list(METRICS)
    nets = [*(entry["models"] for entry in results["cohorts"].values()), *results["nets"].values()]
    assert len(table) == len([value for net in nets for value in list_values(net)])
    assert not table.duplicated(["net", "cohort", "metric", "of"]).any()
    model = results["cohorts"]["internal_test"]["models"]["D"]
    named = table.set_index(["net", "metric", "of"])
    assert named.loc[("fusion/D", "recall", "HM"), "high"] == model["recall"]["HM"]["high"]
    sensitivity = named.loc[("fusion/D", "sensitivity_at/0.90", "HCC")]
    assert sensitivity["resolution"] == model["sensitivity_at"]["0.90"]["HCC"]["resolution"]
    assert named.loc[("fusion/D", "calibration/slope", "OT"), "value"] is not None
    assert (
        named.loc[("disease/HCC", "accuracy", ""), "value"]
        == results["nets"]["disease/HCC"]["validation"]["accuracy"]["value"]
    )


def test_a_curve_has_a_row_a_round_and_names_the_kept_one(results: dict[str, Any]) -> None:
    table = Run(Path(), results).curves()
    assert list(table.columns) == list(CURVES)
    assert table[["curve", "round", "loss", "kept"]].to_numpy().tolist() == [
        ["training", 1, 0.9, False],
        ["training", 2, 0.5, True],
        ["validation", 2, 0.6, True],
    ]


def test_every_asked_site_has_one_fate_a_round(results: dict[str, Any]) -> None:
    table = Run(Path(), results).participation()
    assert list(table.columns) == list(PARTICIPATION)
    first = table[table["round"] == 1]
    assert first[["site", "fate", "reason"]].to_numpy().tolist() == [
        ["a", "counted", ""],
        ["b", "lost", "no answer"],
        ["c", "idle", ""],
    ]
    assert len(table) == 6


def test_a_confusion_matrix_has_its_types(results: dict[str, Any]) -> None:
    run = Run(Path(), results)
    table = run.confusion("fusion/D", "internal_test")
    assert (list(table.index), list(table.columns)) == (list(LESION_TYPES), list(LESION_TYPES))
    assert table.loc["HM", "ICC"] == results["cohorts"]["internal_test"]["models"]["D"]["confusion"][1][2]
    assert run.confusion("disease/HCC", "validation").shape == (2, 2)
    with pytest.raises(
        ExpectedError, match="disease/HCC on validation, fusion/D on internal_test, found fusion/D on x"
    ):
        run.confusion("fusion/D", "x")


def test_replicates_are_scikit_learns_metrics_of_their_lesions(
    results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Evaluate(stage="evaluate", name="test", nets=("fusion/D",), cohorts=("internal_test",), replicates=20)
    draws = ConfusionDraws({"test": TOTAL}, [stage], {"test": 0.0}, 1, {"internal_test": 1.25})
    monkeypatch.setattr(opened_run, "open_draws", lambda folder, found: draws)
    run = Run(Path(), results)
    table = run.replicates("fusion/D", "internal_test")
    assert table.shape == (21, 6)
    truth, called = (place.ravel() for place in np.indices((6, 6)))
    drawn = draws.find_confusion("fusion/D", "internal_test")
    assert drawn is not None
    for row, confusion in zip(table.itertuples(), drawn, strict=True):
        weights, mean = confusion.ravel(), {"average": "macro", "sample_weight": confusion.ravel(), "zero_division": 0}
        assert row.accuracy == pytest.approx(accuracy_score(truth, called, sample_weight=weights))
        assert row.macro_recall == pytest.approx(recall_score(truth, called, **mean))
        assert row.macro_precision == pytest.approx(precision_score(truth, called, **mean))
        assert row.macro_f1 == pytest.approx(f1_score(truth, called, **mean))
    assert table["accuracy"].nunique() > 5
    with pytest.raises(ExpectedError, match="found fusion/D on validation"):
        run.replicates("fusion/D", "validation")


def test_arms_are_told_apart_by_kind(results: dict[str, Any]) -> None:
    table = Run(Path(), results).comparison()
    assert list(table.columns) == list(COMPARISON)
    assert table[["kind", "name"]].to_numpy().tolist() == [
        ["training", "federated"],
        ["training", "pooled"],
        ["training", "site-01"],
        ["classical", "zones"],
        ["net", "fusion/D"],
    ]
    assert (table[["value", "low", "high", "n"]] == [0.8, 0.7, 0.9, 40]).all(axis=None)


def test_experiments_keep_their_columns_and_findings(results: dict[str, Any]) -> None:
    table = Run(Path(), results).experiments()["norms"]
    assert (list(table.columns), len(table), table.attrs) == (["a", "b"], 2, {"title": "T", "finding": "F"})


def test_a_run_without_results_says_what_to_do_and_a_bare_one_has_empty_tables(tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="finish the run there first"):
        Run.open(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    run = Run.open(str(tmp_path))
    tables: list[pd.DataFrame] = [run.metrics(), run.curves(), run.participation(), run.comparison()]
    assert [len(table) for table in tables] == [0, 0, 0, 0]
    assert run.experiments() == {}
    assert repr(run) == f"Run(folder={tmp_path!r})"
