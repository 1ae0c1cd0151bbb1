"""A plan asks for secure sums only where enough sites can be in them."""

from __future__ import annotations

import pytest
import yaml
from secure_plan import SMOKE, write_secure_plan

from ceus_models.plan.level_rules import check_levels
from ceus_models.plan.plan import load_plan, parse_plan
from ceus_models.runtime.errors import FaultList


def texts(**values: object) -> list[str]:
    return [str(fault) for fault in check_levels(values)]


def test_a_cohort_of_one_hospital_cannot_be_hidden():
    stage = {"stage": "evaluate", "level": "sums", "cohorts": ["internal_test"]}
    found = texts(stages=[stage])
    assert len(found) == 1
    assert "secure sum has 3 sites at least" in found[0]
    assert "only 50" in found[0]
    assert not texts(stages=[{**stage, "cohorts": ["internal_test", "external_test_c"]}])
    assert not texts(stages=[{**stage, "level": "none"}])
    assert texts(stages=[{**stage, "level": "distributed"}])


@pytest.mark.parametrize(("centers", "faults"), [([1, 2], 2), ([1, 2, 37], 2), ([1, 2, 3], 0), (None, 0)])
def test_the_centers_of_a_simulation(centers, faults):
    stage = {"stage": "train", "level": "sums", "cohorts": ["training_a"], "validate": {"every": 1}}
    simulation = {} if centers is None else {"centers": centers}
    assert len(texts(stages=[stage], simulation=simulation)) == faults


def test_statistics_ask_both_cohorts_together():
    values = {"stages": [{"stage": "statistics", "level": "sums"}], "simulation": {"centers": [1, 2, 37]}}
    assert not texts(**values)
    values["stages"][0]["fusion_cohorts"] = []
    assert texts(**values)


@pytest.mark.parametrize("stages", [None, "text", [1], [{"stage": "train", "level": "sums", "cohorts": 5}]])
def test_what_is_no_plan_is_told_elsewhere(stages):
    texts(stages=stages, simulation="text")


def test_the_smoke_plan_has_too_few_centers_and_its_variant_enough(tmp_path):
    values = yaml.safe_load(SMOKE.read_text())
    for stage in values["stages"][1:]:
        stage["level"] = "sums"
    plan, faults = parse_plan(values)
    assert plan is None
    assert len(faults) >= 4
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(FaultList, match="secure sum has 3 sites"):
        load_plan(path)
    assert load_plan(write_secure_plan(tmp_path / "variant.yaml", "sums")).study(1).secure
    assert not load_plan(write_secure_plan(tmp_path / "plain.yaml", "none")).study(1).secure
