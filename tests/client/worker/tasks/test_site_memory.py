from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_lesions import lesions, recipe, task, with_submodels

from ceus_models.protocol.messages import Architecture, Task
from client.policy.policy import TaskDeclined
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory


def at(asked: Task, number: int, **changes: object) -> Task:
    return Task(**{**vars(asked), "round": number, **changes})


def one(value: float) -> dict[str, torch.Tensor]:
    return {"bn1.weight": torch.tensor([value])}


def value(state: dict[str, torch.Tensor] | None) -> float | None:
    return None if state is None else float(state["bn1.weight"])


def test_local_state_by_round(tmp_path: Path) -> None:
    train = task("train")
    memory = SiteMemory(tmp_path)
    assert memory.local_states(train).read("disease/HCC") is None
    for number in (1, 2, 3):
        memory.local_states(at(train, number)).keep("disease/HCC", one(number))
    again = SiteMemory(tmp_path)  # another process
    assert value(again.local_states(at(train, 4)).read("disease/HCC")) == 3
    assert value(again.local_states(at(train, 3)).read("disease/HCC")) == 2, "a repeated round starts where it started"
    assert value(again.local_states(at(train, 2)).read("disease/HCC")) is None, "only two rounds are kept"
    assert value(again.local_states(at(train, 3, kind="evaluate")).read("disease/HCC")) == 3
    assert value(again.local_states(at(train, 0, kind="evaluate", stage="tests")).read("disease/HCC")) == 3
    assert again.local_states(at(train, 4)).read("disease/HM") is None
    assert again.local_states(at(train, 4, seed=2)).read("disease/HCC") is None
    assert again.local_states(at(train, 4, stage="other")).read("disease/HCC") is None


def test_a_study_that_goes_back_forgets_what_came_after(tmp_path: Path) -> None:
    train, memory = task("train"), SiteMemory(tmp_path)
    for number in (1, 2, 3):
        memory.local_states(at(train, number)).keep("disease/HCC", one(number))
    memory.local_states(at(train, 1)).keep("disease/HCC", one(10))
    assert value(memory.local_states(at(train, 9)).read("disease/HCC")) == 10


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    memory = SiteMemory(tmp_path)
    memory.keep_table("key", {"a": torch.ones(9)})
    memory.local_states(task("train")).keep("disease/HCC", one(1))
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:20])
    assert memory.table("key") == {}
    assert memory.local_states(at(task("train"), 2)).read("disease/HCC") is None


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SiteMemory(tmp_path)
    memory.keep_table("key", {"a": torch.ones(9)})

    def cut(tensors: object, name: str) -> None:
        Path(name).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("client.worker.tasks.site_memory.save_file", cut)
    with pytest.raises(KeyboardInterrupt):
        memory.keep_table("key", {"a": torch.zeros(9)})
    assert torch.equal(memory.table("key")["a"], torch.ones(9))
    assert [p.name for p in (tmp_path / "frozen").iterdir()] == ["key.safetensors"]


def without_submodels(asked: Task) -> Task:
    kept = {n: t for n, t in asked.inputs.items() if n.startswith("fusion")}
    return Task(**{**vars(asked), "inputs": kept})


def test_frozen_submodels_travel_once(tmp_path: Path) -> None:
    place = Place("site-01", SiteMemory(tmp_path))
    asked = with_submodels(task("train", ("fusion/D",)))
    bare, cases = without_submodels(asked), lesions(3)
    with pytest.raises(TaskDeclined) as no:
        nets_of(bare, place).frozen_probabilities(cases)
    assert no.value.code == "needs_frozen"
    first = nets_of(asked, place).frozen_probabilities(cases)
    assert first.shape == (3, 9)
    again = nets_of(bare, Place("site-01", SiteMemory(tmp_path))).frozen_probabilities(cases[::-1])
    assert np.array_equal(again[::-1], first)


def test_rows_belong_to_weights_settings_and_content(tmp_path: Path) -> None:
    place = Place("site-01", SiteMemory(tmp_path))
    asked, cases = with_submodels(task("train", ("fusion/D",))), lesions(2)
    nets_of(asked, place).frozen_probabilities(cases)
    bare = without_submodels(asked)
    corrected = replace(cases[0], frames=255 - cases[0].frames)
    wider = recipe(Architecture(10, 10, 8, 8))
    for other, samples in (
        (Task(**{**vars(bare), "frozen": "another"}), cases),
        (Task(**{**vars(bare), "recipe": wider}), cases),
        (bare, [corrected, cases[1]]),
        (bare, lesions(3)),
    ):
        with pytest.raises(TaskDeclined, match="send them"):
            nets_of(other, place).frozen_probabilities(samples)


def test_submodels_must_be_those_of_the_digest(tmp_path: Path) -> None:
    place = Place("site-01", SiteMemory(tmp_path))
    asked = with_submodels(task("train", ("fusion/D",)))
    other = {n: t + 1 if n.startswith("disease/HCC") else t for n, t in asked.inputs.items()}
    with pytest.raises(TaskDeclined, match="digest") as no:
        nets_of(Task(**{**vars(asked), "inputs": other}), place).frozen_probabilities(lesions(2))
    assert no.value.code == "error"
    some = {n: t for n, t in asked.inputs.items() if not n.startswith("biomarker")}
    with pytest.raises(TaskDeclined) as lacking:
        nets_of(Task(**{**vars(asked), "inputs": some}), place).frozen_probabilities(lesions(2))
    assert lacking.value.code == "needs_frozen"
