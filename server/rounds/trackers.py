"""Metrics of every round in TensorBoard or MLflow, if installed and requested: files only, no network.

The tracker is written from `rounds.jsonl` alone, and from the beginning at every start. So it has each round once,
including rounds before an interruption or before the tracker was requested.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from ceus_models.runtime.errors import ExpectedError
from server.rounds.round_log import RoundLog, round_key

_COUNTS = ("asked", "counted", "refused", "excluded", "lost", "seconds", "sent", "received")


class TrackerName(StrEnum):
    """The supported experiment trackers."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"


class Tracker(Protocol):
    """Writes one run's metrics in the format of an experiment tracker."""

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        """Add the metrics of one round."""

    def close(self) -> None:
        """Flush everything to the disk and end."""


class TrackerSync:
    """Copies the rounds of a run's folder to its tracker."""

    def __init__(self, board: Tracker, rounds: RoundLog) -> None:
        """Start with no round copied."""
        self._board, self._rounds = board, rounds
        self._known: set[tuple[Any, ...]] = set()
        self._stamp: tuple[int, int] | None = None

    def catch_up(self) -> None:
        """Add the rounds that the tracker lacks. A round repeated after a crash has the same numbers."""
        stamp = self._rounds.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        for line in self._rounds.read():
            if round_key(line) not in self._known:
                self._known.add(round_key(line))
                self._board.add(extract_metrics(line), int(line["round"]))


@contextmanager
def open_tracker(name: TrackerName | None, folder: Path) -> Iterator[TrackerSync | None]:
    """Open the tracker of that name for a run's folder; None without a name.

    Raises:
        ExpectedError: if the tracker is not installed.
    """
    if name is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    board = _TRACKERS[name](folder)
    follower = TrackerSync(board, RoundLog(folder))
    try:
        yield follower
        follower.catch_up()
    finally:
        board.close()


def extract_metrics(line: Mapping[str, Any]) -> dict[str, float]:
    """Extract the numbers of a line of `rounds.jsonl`, by stage/kind/name: `submodels/train/loss/disease/HCC`."""
    place = f"{line['stage']}/{line['kind']}"
    losses = {f"{place}/loss/{net}": float(loss) for net, loss in line["loss"].items() if loss is not None}
    return losses | {f"{place}/{name}": float(line[name]) for name in _COUNTS if name in line}


class TensorBoard:
    """Event files in `RUN/tensorboard`, for `tensorboard --logdir`."""

    def __init__(self, folder: Path) -> None:
        """Raises ExpectedError where TensorBoard is not installed."""
        summary = _import_tracker("tensorboard.summary", TrackerName.tensorboard)
        place = folder / TrackerName.tensorboard
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = summary.Writer(str(place))

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        """See Board."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """See Board."""
        self._writer.close()


class MLflow:
    """A database of one run in `RUN/mlflow.db`, for `mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db`.

    MLflow's telemetry is switched off before it is imported.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ExpectedError where MLflow is not installed."""
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        mlflow = _import_tracker("mlflow", TrackerName.mlflow)
        place = folder.resolve()
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
        known = self._client.get_experiment_by_name("fedceus")
        files = (place / "mlflow").as_uri()
        experiment = known.experiment_id if known else self._client.create_experiment("fedceus", files)
        for old in self._client.search_runs([experiment]):
            self._client.delete_run(old.info.run_id)
        self._run = self._client.create_run(experiment, run_name=place.name).info.run_id

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        """See Board."""
        logged = [self._entities.Metric(name, value, 0, step) for name, value in metrics.items()]
        self._client.log_batch(self._run, metrics=logged)

    def close(self) -> None:
        """See Board."""
        self._client.set_terminated(self._run)


_TRACKERS: Mapping[TrackerName, type[TensorBoard] | type[MLflow]] = {
    TrackerName.tensorboard: TensorBoard,
    TrackerName.mlflow: MLflow,
}


def _import_tracker(module: str, name: TrackerName) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ExpectedError(
            f"{name} must be installed for --track, but is not: run `pip install 'fedceus[{name}]'`, or leave --track "
            "out; rounds.jsonl in the run's folder has the same numbers"
        ) from None
