"""Drawings of losses: points lie where their numbers say."""

from __future__ import annotations

from typing import Any

from server.console.loss_chart import HEIGHT, WIDTH, build_charts


def record(stage: str, kind: str, number: int, **losses: float) -> dict[str, Any]:
    return {
        "stage": stage,
        "kind": kind,
        "round": number,
        "curves": {n.replace("_", "/"): v for n, v in losses.items()},
    }


def test_both_curves_share_one_scale() -> None:
    rounds = [
        record("one", "train", 1, disease_HCC=3.0),
        record("one", "evaluate", 1, disease_HCC=2.0),
        record("one", "train", 2, disease_HCC=2.5),
        record("one", "train", 3, disease_HCC=1.0),
    ]
    (chart,) = build_charts(rounds)
    assert (chart.stage, chart.net, chart.low, chart.high, chart.first, chart.last) == (
        "one",
        "disease/HCC",
        1,
        3,
        1,
        3,
    )
    training, validation = chart.curves
    assert training.points == ((0, 0), (WIDTH / 2, HEIGHT / 4), (WIDTH, HEIGHT))
    assert validation.points == ((0, HEIGHT / 2),)
    assert (training.first, training.last, validation.last) == (3.0, 1.0, 2.0)
    assert training.path == "0,0 125,27.5 250,110"


def test_one_round_lies_in_the_middle_and_nets_come_in_the_studys_order() -> None:
    rounds = [record("b", "train", 1, biomarker_Hep=1.0, disease_HCC=1.0), record("c", "train", 1, fusion_D=1.0)]
    found = build_charts(rounds)
    assert [chart.net for chart in found] == ["disease/HCC", "biomarker/Hep", "fusion/D"]
    assert found[0].curves[0].points == ((WIDTH / 2, HEIGHT / 2),)


def test_rounds_without_losses_draw_nothing() -> None:
    assert build_charts([record("hello", "hello", 0), record("test", "evaluate", 0, disease_HCC=1.0)]) == []
