from __future__ import annotations

import os
import signal
import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ceus_models.plan.progress import CurvePoint, Progress
from ceus_models.plan.terms.participation import RoundRecord
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe
from ceus_models.protocol.state import digest
from ceus_models.runtime import atomic_files
from ceus_models.runtime.errors import ExpectedError
from server.rounds.saving import checkpoints
from server.rounds.saving.checkpoints import Store

RECIPE = Recipe(
    Architecture(width=8), Normaliser(0.1, 0.2, 3.0, (0.5,) * 17, (1.0,) * 17), ("age",), {"disease/HCC": (0.6, 3.0)}
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "study"


def full_progress():
    net = {"z.weight": torch.randn(3, 2), "a.bias": torch.randn(2)}
    return Progress(
        stage=2,
        step=1,
        recipe=RECIPE,
        frozen="abc",
        counts={"site-01": {"training_a": 3}},
        patients={"site-01": {"training_a": 2}},
        nets={"disease/HCC": net, "fusion/D": {"w": torch.zeros(())}},
        memory={"best|disease/HCC": net, "moments|disease/HCC": {"#steps": torch.tensor(4), "m|w": torch.ones(1)}},
        totals={"statistics": {"training_a|types": torch.arange(6), "training_a|flow": torch.ones(3).double()}},
        participation=(
            RoundRecord("submodels", "train", 1, ("a",), ("a", "b"), ("a",), ("a",), (), {"b": "no"}, seconds=0.1),
        ),
        curves=(CurvePoint("submodels", 1, "disease/HCC", "training", 0.1 + 0.2, 3.0),),
    )


def same(a, b):
    for section in ("nets", "memory", "totals"):
        one, two = getattr(a, section), getattr(b, section)
        assert list(one) == list(two)
        for key in one:
            assert list(one[key]) == list(two[key]), "the order of names is part of a state"
            assert digest(one[key]) == digest(two[key])
    plain = ("stage", "step", "recipe", "frozen", "counts", "patients", "participation", "curves")
    return all(getattr(a, name) == getattr(b, name) for name in plain)


def test_what_is_saved_comes_back(folder):
    progress = full_progress()
    Store(folder / "new" / "folder").save(progress, "plan", 7)
    assert same(Store(folder / "new" / "folder").latest("plan", 7), progress)


def test_an_empty_progress_comes_back_and_an_empty_folder_holds_none(folder):
    assert Store(folder).latest("plan", 7) is None
    Store(folder).save(Progress(), "plan", 7)
    assert same(Store(folder).latest("plan", 7), Progress())


def test_the_file_is_plain_safetensors(folder):
    Store(folder).save(full_progress(), "plan", 7)
    tensors = load_file(next(folder.iterdir()))
    assert torch.equal(tensors["totals::statistics::training_a|types"], torch.arange(6))


def test_the_last_two_are_kept(folder):
    for stage in range(5):
        Store(folder).save(replace(full_progress(), stage=stage), "plan", 7)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "progress-00000004.safetensors",
        "progress-00000005.safetensors",
    ]
    assert Store(folder).latest("plan", 7).stage == 4


@pytest.mark.parametrize("damage", ["cut", "empty", "tensor", "header", "noise"])
def test_a_damaged_file_falls_back_to_the_one_before(folder, damage):
    for stage in (1, 2):
        Store(folder).save(replace(full_progress(), stage=stage), "plan", 7)
    path = max(folder.iterdir())
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "tensor":
        content[-1] ^= 1
    elif damage == "header":
        at = content.index(b'\\"stage\\":2')
        content[at : at + 11] = b'\\"stage\\":3'
    else:
        content = bytearray(b"noise" * 100)
    path.write_bytes(content)
    assert Store(folder).latest("plan", 7).stage == 1
    Store(folder).save(replace(full_progress(), stage=9), "plan", 7)
    assert Store(folder).latest("plan", 7).stage == 9


def test_damaged_files_only_are_an_error_with_its_remedy(folder):
    Store(folder).save(full_progress(), "plan", 7)
    next(folder.iterdir()).write_bytes(b"noise")
    with pytest.raises(ExpectedError, match="damaged; delete the folder"):
        Store(folder).latest("plan", 7)


def test_another_plan_or_seed_is_refused(folder):
    Store(folder).save(full_progress(), "plan", 7)
    with pytest.raises(ExpectedError, match="another plan"):
        Store(folder).latest("other", 7)
    with pytest.raises(ExpectedError, match="seed 8, found seed 7"):
        Store(folder).latest("plan", 8)


def test_a_leftover_of_an_interrupted_write_is_ignored(folder):
    Store(folder).save(full_progress(), "plan", 7)
    (folder / ".part-half.safetensors").write_bytes(b"half")
    assert same(Store(folder).latest("plan", 7), Store(folder).latest("plan", 7))
    Store(folder).save(replace(full_progress(), stage=5), "plan", 7)
    assert Store(folder).latest("plan", 7).stage == 5
    assert not list(folder.glob(".part-*"))


@pytest.mark.parametrize("at", ["save_file", "_sync"])
def test_a_kill_while_saving_leaves_the_round_before(folder, at):
    """A process is killed in the middle of a save: during the write, or before the file is surely on the disk."""
    Store(folder).save(replace(full_progress(), stage=1), "plan", 7)

    def die(*given):
        if at == "save_file":
            given[1].write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12: torch has threads, the child uses none
        child = os.fork()
    if not child:
        setattr(atomic_files if at == "_sync" else checkpoints, at, die)
        Store(folder).save(Progress(stage=2), "plan", 7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert Store(folder).latest("plan", 7).stage == 1
