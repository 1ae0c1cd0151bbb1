"""Bytes of a plan for one site, by hand from the sizes of its nets."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ceus_models.plan.plan import parse_plan
from ceus_models.plan.words.net_sizes import count_weights
from ceus_models.plan.words.outline import PlanOutline, read_outline
from ceus_models.plan.words.traffic import Traffic, estimate_traffic
from ceus_models.protocol.messages import Architecture
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS, TRUNK

SMALL = Architecture(10, 10, 8, 32)


def outline(stage: dict[str, Any], **settings: Any) -> PlanOutline:
    shape = {"spatial_depth": 10, "temporal_depth": 10, "width": 8, "hidden": 32}
    train = {"stage": "train", "name": "submodels", "nets": ["submodels"], "cohorts": ["training_a"], "rounds": 6}
    stages = [{"stage": "hello"}, {"stage": "statistics"}, {**train, **stage}]
    fusion = {"stage": "train", "name": "fusion", "nets": ["fusion"], "cohorts": ["training_b"], "rounds": 4}
    stages += [fusion, {"stage": "evaluate", "name": "test", "nets": ["fusion"], "cohorts": ["training_b"]}]
    plan, faults = parse_plan(yaml.safe_load(yaml.safe_dump(
        {"name": "liver", "architecture": shape, "stages": stages, **settings}
    )))  # fmt: skip
    assert plan is not None, faults
    return read_outline(plan.plain())


def count(*nets: str) -> int:
    return sum(count_weights(net, SMALL, 32) for net in nets)


ALL = count(*SUBMODELS)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ({}, Traffic(4 * ALL, 4 * ALL, 6 * 4 * ALL, 6 * 4 * ALL)),
        ({"validate": {"every": 2}}, Traffic(4 * ALL, 4 * ALL, 9 * 4 * ALL, 6 * 4 * ALL)),
        ({"weights": "bfloat16"}, Traffic(2 * ALL, 4 * ALL, (4 + 5 * 2) * ALL, 6 * 4 * ALL)),
        ({"changes": {"bits": 8}}, Traffic(4 * ALL, ALL, 6 * 4 * ALL, (2 + 5) * ALL)),
        ({"level": "sums"}, Traffic(4 * ALL, 8 * ALL, 6 * 4 * ALL, 6 * 8 * ALL)),
        ({"level": "sums", "changes": {"bits": 8}}, Traffic(4 * ALL, 3 * ALL, 6 * 4 * ALL, (4 + 15) * ALL)),
        ({"share": 0.5}, Traffic(4 * ALL, 4 * ALL, 3 * 4 * ALL, 3 * 4 * ALL)),
    ],
)
def test_training_moves_nets_down_and_changes_up(stage: dict[str, Any], expected: Traffic) -> None:
    assert estimate_traffic(outline(stage))["submodels"] == expected


def test_fusion_brings_the_sub_models_once() -> None:
    found, nets = estimate_traffic(outline({})), count(*FUSION_NETS)
    assert found["fusion"] == Traffic(4 * nets, 4 * nets, 4 * 4 * nets + 4 * ALL, 4 * 4 * nets)
    assert found["test"] == Traffic(4 * nets, 0, 4 * nets, 0)
    trunk = estimate_traffic(outline({}, sharing="trunk"))
    assert trunk["submodels"].round_down == 4 * count(TRUNK)
    assert trunk["fusion"].down == 4 * 4 * nets + 4 * count(TRUNK)
    assert found["hello"] == found["statistics"] == Traffic()
