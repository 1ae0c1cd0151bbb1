from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_lesions import lesions, recipe, task, with_submodels

from ceus_models.protocol.messages import Architecture, Task
from client.policy.policy import Declined
from client.worker.tasks.inference import frozen_probabilities
from client.worker.tasks.site_memory import Place, SiteMemory


def at(asked: Task, number: int, **changes: object) -> Task:
    return Task(**{**vars(asked), "round": number, **changes})


def one(value: float) -> dict[str, torch.Tensor]:
    return {"bn1.weight": torch.tensor([value])}


def value(state: dict[str, torch.Tensor] | None) -> float | None:
    return None if state is None else float(state["bn1.weight"])


def test_local_state_by_round(tmp_path: Path) -> None:
    train = task("train")
    memory = SiteMemory(tmp_path)
    assert memory.local_state(train, "disease/HCC") is None
    for number in (1, 2, 3):
        memory.keep_local_state(at(train, number), "disease/HCC", one(number))
    again = SiteMemory(tmp_path)  # another process
    assert value(again.local_state(at(train, 4), "disease/HCC")) == 3
    assert value(again.local_state(at(train, 3), "disease/HCC")) == 2, "a repeated round starts where it started"
    assert value(again.local_state(at(train, 2), "disease/HCC")) is None, "only two rounds are kept"
    assert value(again.local_state(at(train, 3, kind="evaluate"), "disease/HCC")) == 3
    assert value(again.local_state(at(train, 0, kind="evaluate", stage="tests"), "disease/HCC")) == 3
    assert again.local_state(at(train, 4), "disease/HM") is None
    assert again.local_state(at(train, 4, seed=2), "disease/HCC") is None
    assert again.local_state(at(train, 4, stage="other"), "disease/HCC") is None


def test_a_study_that_goes_back_forgets_what_came_after(tmp_path: Path) -> None:
    train, memory = task("train"), SiteMemory(tmp_path)
    for number in (1, 2, 3):
        memory.keep_local_state(at(train, number), "disease/HCC", one(number))
    memory.keep_local_state(at(train, 1), "disease/HCC", one(10))
    assert value(memory.local_state(at(train, 9), "disease/HCC")) == 10


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    memory = SiteMemory(tmp_path)
    memory.keep_table("key", {"a": torch.ones(9)})
    memory.keep_local_state(task("train"), "disease/HCC", one(1))
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:20])
    assert memory.table("key") == {}
    assert memory.local_state(at(task("train"), 2), "disease/HCC") is None


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
    with pytest.raises(Declined) as no:
        frozen_probabilities(bare, cases, place)
    assert no.value.code == "needs_frozen"
    first = frozen_probabilities(asked, cases, place)
    assert first.shape == (3, 9)
    again = frozen_probabilities(bare, cases[::-1], Place("site-01", SiteMemory(tmp_path)))
    assert np.array_equal(again[::-1], first)


def test_rows_belong_to_weights_settings_and_content(tmp_path: Path) -> None:
    place = Place("site-01", SiteMemory(tmp_path))
    asked, cases = with_submodels(task("train", ("fusion/D",))), lesions(2)
    frozen_probabilities(asked, cases, place)
    bare = without_submodels(asked)
    corrected = replace(cases[0], frames=255 - cases[0].frames)
    wider = recipe(Architecture(10, 10, 8, 8))
    for other, samples in (
        (Task(**{**vars(bare), "frozen": "another"}), cases),
        (Task(**{**vars(bare), "recipe": wider}), cases),
        (bare, [corrected, cases[1]]),
        (bare, lesions(3)),
    ):
        with pytest.raises(Declined, match="send them"):
            frozen_probabilities(other, samples, place)


def test_submodels_must_be_those_of_the_digest(tmp_path: Path) -> None:
    place = Place("site-01", SiteMemory(tmp_path))
    asked = with_submodels(task("train", ("fusion/D",)))
    other = {n: t + 1 if n.startswith("disease/HCC") else t for n, t in asked.inputs.items()}
    with pytest.raises(Declined, match="digest") as no:
        frozen_probabilities(Task(**{**vars(asked), "inputs": other}), lesions(2), place)
    assert no.value.code == "error"
    some = {n: t for n, t in asked.inputs.items() if not n.startswith("biomarker")}
    with pytest.raises(Declined) as lacking:
        frozen_probabilities(Task(**{**vars(asked), "inputs": some}), lesions(2), place)
    assert lacking.value.code == "needs_frozen"
