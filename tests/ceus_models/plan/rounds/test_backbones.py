"""Public weights of the backbones: read from the plan's file by the coordinator, and compared by every site."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy_lesions import TINY, lesions, recipe

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.nets.two_stream import Backbone
from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.rounds.backbones import read_pretrained, remove_backbones, select_backbone
from ceus_models.plan.stages import Hello, Statistics
from ceus_models.plan.terms.pretrained import PretrainedBackbone
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Normaliser, Refusal, Task, Update
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import CLINICAL
from client.worker.site.site import Site
from tests.support.open_policy import OPEN_LEVELS, open_policy

NET = "disease/HCC"
RECIPE = replace(
    recipe(),
    normaliser=Normaliser(0.4, 0.2, 1.5, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)),
    class_weights={NET: (0.6, 2.0)},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with weights of three channels, as ImageNet's."""
    torch.manual_seed(3)
    published = Backbone(TINY.spatial_depth, TINY.width, 3, "group").state_dict()
    save_file({**published, "fc.weight": torch.ones(2, 2)}, tmp_path / "public.safetensors")
    return tmp_path


def _plan(folder: Path, stated: str = "") -> Plan:
    """A plan that takes the spatial backbone from the file; stated: its digest, the true one by default."""
    if not stated:
        with pytest.raises(ExpectedError, match="gives") as error:
            read_pretrained({"spatial": PretrainedBackbone(str(folder / "public.safetensors"), "0" * 64)}, TINY)
        stated = str(error.value).split("gives ")[1][:64]
    stages = (
        Hello("hello"),
        Statistics("statistics"),
        Train("train", "training", (NET,), ("training_a",), 2),
    )
    pretrained = {"spatial": PretrainedBackbone(str(folder / "public.safetensors"), stated)}
    return Plan("public", stages, architecture=TINY, fusion_hidden=5, pretrained=pretrained)  # type: ignore[arg-type]


def _first_task(plan: Plan) -> Task:
    study = replace(plan.study(7), pretrained=read_pretrained(plan.pretrained, TINY))
    stage = plan.stages[2]
    return find_rounds(stage).task(find_rounds(stage).prepare(Progress(stage=2, recipe=RECIPE), study), study)


def test_a_net_begins_with_the_files_backbone_and_the_seeds_rest(folder: Path) -> None:
    task = _first_task(_plan(folder))
    state = {name.partition("|")[2]: tensor for name, tensor in task.inputs.items()}
    drawn = build_initial_state(NET, RECIPE, 7)
    assert state.keys() == drawn.keys()
    public = select_backbone(state, "spatial")
    assert all(not torch.equal(t, drawn[n]) for n, t in public.items() if "conv" in n)
    assert digest(remove_backbones(state, ["spatial"])) == digest(remove_backbones(drawn, ["spatial"]))
    assert public["spatial.backbone.conv1.weight"].shape[1] == 1


def test_a_site_takes_these_weights_and_no_others(folder: Path) -> None:
    plan = _plan(folder)
    policy = open_policy(privacy=replace(OPEN_LEVELS, bound_to_plan=True))
    site = Site("site-01", lesions(8), plan.processing.digest(), policy, folder / "memory", records=folder / "records")
    hello = plan.stages[0]
    assert isinstance(site.handle(find_rounds(hello).task(Progress(), plan.study(7))), Update)
    task = _first_task(plan)
    for name, told in (
        ("spatial.backbone.conv1.weight", "spatial backbone"),
        ("spatial_head.weight", "initial weights"),
    ):
        moved = {**task.inputs, f"{NET}|{name}": task.inputs[f"{NET}|{name}"] + 0.01}
        answer = site.handle(replace(task, inputs=moved))
        assert isinstance(answer, Refusal)
        assert told in answer.reason
    assert isinstance(site.handle(task), Update)


def test_a_file_that_is_not_the_plans_stops_the_study(folder: Path) -> None:
    with pytest.raises(ExpectedError, match=r"pretrained\.spatial"):
        read_pretrained(_plan(folder, "1" * 64).pretrained, TINY)
    gone = {"spatial": PretrainedBackbone(str(folder / "gone.safetensors"), "0" * 64)}
    with pytest.raises(ExpectedError, match="safetensors"):
        read_pretrained(gone, TINY)  # type: ignore[arg-type]
