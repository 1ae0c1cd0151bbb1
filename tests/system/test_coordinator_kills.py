"""A coordinator that is killed at any of eight points goes on to the very numbers of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_sites import PLAN, Post, link_of, made_up_time
from killed_coordinator import POINTS, SEED, tiny

from ceus_models.plan.progress import Progress
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from server.rounds.coordinator import StopRequested, run
from server.rounds.saving.checkpoints import Store
from server.transport.message_log import MessageLog

HERE = Path(__file__).parents[1] / "support"


@pytest.fixture(autouse=True, scope="module")
def _in_made_up_time() -> Iterator[None]:
    with made_up_time():
        yield


@pytest.fixture(autouse=True, scope="module")
def _tiny_nets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        yield


def walked(folder: Path) -> Progress:
    return run(PLAN, link_of(Post(), MessageLog(folder)), Store(folder), SEED)


def compared(progress: Progress) -> object:
    nets = {net: digest(state) for net, state in progress.nets.items()}
    return nets, progress.curves, [(r.kind, r.round, r.counted) for r in progress.participation]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of eight coordinators that were killed."""
    scratch = tmp_path_factory.mktemp("killed")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parents[1])))}
    done = subprocess.run(
        [sys.executable, str(HERE / "killed_coordinator.py"), str(scratch), *POINTS],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{point}: {-signal.SIGKILL}" for point in POINTS], done.stderr
    return scratch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, _tiny_nets: None) -> object:
    return compared(walked(tmp_path_factory.mktemp("undisturbed")))


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_coordinator_goes_on_to_the_same_numbers(killed: Path, undisturbed: object, point: str) -> None:
    folder = killed / point
    before = Store(folder).newest()
    assert before == (4 if point == "after the rename" else 3), "at most the round in flight is repeated"
    assert compared(walked(folder)) == undisturbed
    assert not list(folder.glob("*.partial"))


def test_a_full_disk_ends_the_run_with_the_remedy_and_costs_the_round_at_most(
    undisturbed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full takes no byte: what a full disk says, the writer of checkpoints hears."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    saved, rounds = Store.save, []

    def save(store: Store, progress: Progress, plan: str, seed: int) -> None:
        rounds.append(progress.step)
        if len(rounds) == 4:
            monkeypatch.setattr("server.rounds.saving.checkpoints.save_file", _to(full))
        saved(store, progress, plan, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", save)
        with pytest.raises(ExpectedError, match="No space left on device.*make room and start the same command again"):
            walked(tmp_path)
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        assert compared(walked(tmp_path)) == undisturbed


def _to(full: Path):  # type: ignore[no-untyped-def]
    def save_file(tensors: object, path: Path, metadata: object) -> None:
        with full.open("wb") as file:
            file.write(b"x" * 100_000)

    return save_file


def test_a_stop_is_obeyed_between_two_rounds(undisturbed: object, tmp_path: Path) -> None:
    looked = iter([False, False, True])
    with pytest.raises(StopRequested, match="stopped before submodels, as asked"):
        run(PLAN, link_of(Post(), MessageLog(tmp_path)), Store(tmp_path), SEED, stopping=lambda: next(looked))
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    assert compared(walked(tmp_path)) == undisturbed
