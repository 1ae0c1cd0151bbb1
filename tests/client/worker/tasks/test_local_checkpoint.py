"""A worker that is killed in the middle of a round goes on where it was, to the very bits of one that was not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_lesions import lesions, recipe, task

from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import LocalRule, Task
from client.worker.tasks.local_checkpoint import Checkpoints, LocalCheckpoint
from client.worker.tasks.memory_layout import forget
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory
from client.worker.tasks.training import TrainingResult, trainer_of

NET = "disease/HCC"
RULES = {
    "momentum": LocalRule(epochs=3, batch_size=3, learning_rate=0.1, momentum=0.9, weight_decay=0.01, clip=1.0),
    "augmented": LocalRule(epochs=3, batch_size=3, learning_rate=0.1, augment=True),
    "adamw": LocalRule(epochs=3, batch_size=3, learning_rate=0.01, optimizer="adamw"),
    "proximal": LocalRule(epochs=3, batch_size=3, learning_rate=0.1, proximal_mu=0.5),
}


class Killed(BaseException):
    """As kill -9: nothing of the process runs after it."""


def place_of(folder: Path, work: Task, keep_after_s: float = 0.0) -> Place:
    memory = SiteMemory(folder)
    return Place("site-01", memory, checkpoints=Checkpoints(memory, ReceivedTask(work), keep_after_s))


def asked(rule: LocalRule, *nets: str) -> Task:
    return task("train", nets or (NET,), recipe(), rule=rule)


def trained(work: Task, place: Place, net: str = NET) -> TrainingResult:
    found = trainer_of(work, place).train(net, lesions(5))
    assert found is not None
    return found


def killed_after(epochs: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process die as soon as so many epochs are kept."""
    reached = LocalCheckpoint.save_epoch

    def die(self: LocalCheckpoint, epoch: int, *rest: object) -> None:
        reached(self, epoch, *rest)  # type: ignore[arg-type]
        if epoch == epochs:
            raise Killed

    patch.setattr(LocalCheckpoint, "save_epoch", die)


def epochs_of(patch: pytest.MonkeyPatch) -> list[int]:
    """Whose epochs are walked from now on."""
    seen: list[int] = []
    reached = LocalCheckpoint.save_epoch

    def noted(self: LocalCheckpoint, epoch: int, *rest: object) -> None:
        seen.append(epoch)
        reached(self, epoch, *rest)  # type: ignore[arg-type]

    patch.setattr(LocalCheckpoint, "save_epoch", noted)
    return seen


def equal(a: TrainingResult, b: TrainingResult) -> bool:
    return (
        a.lesions == b.lesions
        and a.sums.keys() == b.sums.keys()
        and all(torch.equal(a.sums[name], b.sums[name]) for name in a.sums)
    )


@pytest.mark.parametrize(("name", "net"), [*((name, NET) for name in RULES), ("momentum", "trunk")])
@pytest.mark.parametrize("epochs", [1, 2])
def test_it_goes_on_from_its_last_whole_epoch_to_the_same_bits(
    name: str, net: str, epochs: int, tmp_path: Path
) -> None:
    work = asked(RULES[name], net)
    undisturbed = trained(work, place_of(tmp_path / "undisturbed", work, keep_after_s=1e9), net)
    with pytest.MonkeyPatch.context() as patch:
        killed_after(epochs, patch)
        with pytest.raises(Killed):
            trained(work, place_of(tmp_path / "killed", work), net)
    with pytest.MonkeyPatch.context() as patch:
        walked = epochs_of(patch)
        again = trained(work, place_of(tmp_path / "killed", work), net)
    assert walked == list(range(epochs + 1, 3)), "no epoch is walked twice"
    assert equal(again, undisturbed)


def test_a_net_that_is_done_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = asked(RULES["momentum"], NET, "disease/ICC")
    first = trained(work, place_of(tmp_path, work))
    walked = epochs_of(monkeypatch)
    assert equal(trained(work, place_of(tmp_path, work)), first)
    assert walked == []
    assert not equal(trained(work, place_of(tmp_path, work), "disease/ICC"), first)
    assert walked == [1, 2]


def _other_weights(work: Task) -> Task:
    return replace(work, inputs={name: t + 0.01 if t.is_floating_point() else t for name, t in work.inputs.items()})


CHANGES: dict[str, Callable[[Task], Task]] = {
    "weights": _other_weights,
    "rule": lambda work: replace(work, rule=RULES["adamw"]),
    "round": lambda work: replace(work, round=work.round + 1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_question_is_another_piece_of_work(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = asked(RULES["momentum"])
    trained(work, place_of(tmp_path, work))
    walked = epochs_of(monkeypatch)
    other = CHANGES[what](work)
    trained(other, place_of(tmp_path, other))
    assert walked == [1, 2]


def test_other_lesions_are_another_piece_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = asked(RULES["momentum"])
    trained(work, place_of(tmp_path, work))
    walked = epochs_of(monkeypatch)
    assert trainer_of(work, place_of(tmp_path, work)).train(NET, lesions(6)) is not None
    assert walked == [1, 2]


def test_work_that_is_quick_is_not_kept_and_a_simulation_keeps_none(tmp_path: Path) -> None:
    work = asked(RULES["momentum"])
    trained(work, place_of(tmp_path, work, keep_after_s=1e9))
    trained(work, place_of(tmp_path, work, keep_after_s=math.inf))
    trained(work, Place("site-01", SiteMemory(tmp_path)))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_damaged_file_costs_the_work_and_no_more(tmp_path: Path) -> None:
    work = asked(RULES["momentum"])
    first = trained(work, place_of(tmp_path, work))
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    assert equal(trained(work, place_of(tmp_path, work)), first)


def test_it_is_dropped_with_the_next_task_and_forgotten_with_the_study(tmp_path: Path) -> None:
    work = asked(RULES["momentum"])
    place = place_of(tmp_path, work)
    trained(work, place)
    Checkpoints(place.memory, ReceivedTask(work), 0.0).drop_others()
    assert list(tmp_path.rglob("*.safetensors"))
    Checkpoints(place.memory, ReceivedTask(replace(work, study="another study")), 0.0).drop_others()
    assert list(tmp_path.rglob("*.safetensors")), "a task of another study comes between"
    Checkpoints(place.memory, ReceivedTask(replace(work, round=work.round + 1)), 0.0).drop_others()
    assert not list(tmp_path.rglob("*.safetensors"))
    trained(work, place)
    forget(place.memory.folder, "another study")
    assert list(tmp_path.rglob("*.safetensors"))
    forget(place.memory.folder, work.study)
    assert not list(tmp_path.rglob("*.safetensors"))
