"""Oracle: what TensorBoard and MLflow themselves read back."""

from __future__ import annotations

import importlib
import json
import socket

import pytest

from ceus_models.plan.progress import CurvePoint
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.runtime.errors import ExpectedError
from server.rounds.events import Finished
from server.rounds.round_log import RoundLog, build_line
from server.rounds.trackers import TrackerName, extract_metrics, open_tracker


def finished(number, kind="train", loss=0.5):
    record = RoundRecord("submodels", kind, number, asked=("a", "b"), counted=("a",), lost={"b": "late"}, seconds=2.5)
    curve = "training" if kind == "train" else "validation"
    return Finished(
        record, number, 9, (CurvePoint("submodels", number, "disease/HCC", curve, loss / (1 + number), 12.0),)
    )


def run_twice(name, folder):
    """Two rounds without a board; then two runs with one: the second does round 2 again, as after a kill."""
    rounds = RoundLog(folder)
    for number in (1, 2):
        rounds.append(finished(number))
    for numbers in ((3,), (3, 4)):
        with open_tracker(name, folder) as follower:
            assert follower is not None
            for number in numbers:
                rounds.append(finished(number))
                follower.catch_up()
                follower.catch_up()
            rounds.append(finished(numbers[-1], "evaluate"))  # nobody looks before the end
    return {number: 0.5 / (1 + number) for number in range(1, 5)}


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a board has asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_tensorboard_reads_every_round_once(tmp_path):
    expected = run_twice(TrackerName.tensorboard, tmp_path)
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    tensors = importlib.import_module("tensorboard.util.tensor_util")
    found = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()

    def series(tag):
        return [(one.step, float(tensors.make_ndarray(one.tensor_proto))) for one in found.Tensors(tag)]

    assert series("submodels/train/loss/disease/HCC") == [(step, pytest.approx(v)) for step, v in expected.items()]
    assert series("submodels/train/lost") == [(step, 1.0) for step in expected]
    assert [step for step, _ in series("submodels/evaluate/loss/disease/HCC")] == [3, 4]


@pytest.mark.usefixtures("no_network")
@pytest.mark.filterwarnings("default")  # MLflow's own
def test_mlflow_reads_every_round_once(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    expected = run_twice(TrackerName.mlflow, tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("fedceus").experiment_id])
    assert run.info.run_name == tmp_path.name
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "submodels/train/loss/disease/HCC")
    assert [(one.step, one.value) for one in history] == [(step, pytest.approx(v)) for step, v in expected.items()]
    assert run.data.metrics["submodels/evaluate/counted"] == 1


@pytest.mark.parametrize("name", TrackerName)
def test_a_board_that_is_not_installed_is_told_before_the_run(name, tmp_path, monkeypatch):
    real = importlib.import_module

    def missing(module, *rest):
        if module.partition(".")[0] == name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=str(name))
        return real(module, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ExpectedError, match=rf"pip install 'fedceus\[{name}\]'"), open_tracker(name, tmp_path):
        pytest.fail("the run has begun")


def test_without_a_board_nothing_is_loaded_or_written(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda *_: pytest.fail("loaded"))
    with open_tracker(None, tmp_path / "run") as follower:
        assert follower is None
    assert not (tmp_path / "run").exists()


def test_a_line_without_a_loss_has_its_counts():
    line = json.loads(
        json.dumps(build_line(Finished(RoundRecord("hello", "hello", 0, asked=("a",), seconds=1.0), 1, 1, ())))
    )
    assert extract_metrics(line) == {
        f"hello/hello/{name}": value
        for name, value in {
            "asked": 1.0,
            "counted": 0.0,
            "refused": 0.0,
            "excluded": 0.0,
            "lost": 0.0,
            "seconds": 1.0,
            "sent": 0.0,
            "received": 0.0,
        }.items()
    }
