from __future__ import annotations

import json

from ceus_models.plan.progress import CurvePoint
from ceus_models.plan.terms.participation import RoundRecord
from server.rounds.events import Answered, Finished
from server.rounds.round_log import ROUNDS, RoundLog


def finished(number, loss):
    record = RoundRecord(
        "submodels", "train", number, asked=("a", "b"), counted=("a",), lost={"b": "late"}, seconds=1.23456
    )
    point = CurvePoint("submodels", number, "disease/HCC", "training", loss, 12.0)
    return Finished(record, number, 3, (point,))


def test_each_round_is_a_line_with_its_losses(tmp_path):
    rounds = RoundLog(tmp_path)
    for number in (1, 2):
        rounds.append(Answered("submodels", number, "a", "counted", "", 1, 2))
        rounds.append(finished(number, 1 / number))
    lines = [json.loads(line) for line in (tmp_path / ROUNDS).read_text().splitlines()]
    assert [line["round"] for line in lines] == [1, 2]
    assert lines[1]["loss"] == {"disease/HCC": 0.5}
    assert (lines[0]["asked"], lines[0]["counted"], lines[0]["lost"], lines[0]["seconds"]) == (2, 1, 1, 1.235)


def test_a_round_that_is_done_again_stands_once(tmp_path):
    for loss in (0.9, 0.8):
        RoundLog(tmp_path).append(finished(1, loss))
    assert [line["loss"]["disease/HCC"] for line in RoundLog(tmp_path).read()] == [0.8]
