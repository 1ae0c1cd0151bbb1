"""A plan asks only what enough sites can answer, and more of them in secure sums."""

from __future__ import annotations

import pytest
import yaml
from secure_plan import SMOKE, write_secure_plan

from ceus_models.plan.plan import load_plan, parse_plan
from ceus_models.plan.site_rules import check_sites
from ceus_models.runtime.errors import FaultList

DIGEST = "2345afccdfeafd6af7c83f9dafefdd6c49eaf2821cdeed125d3693b3a1ba822a"
PLAIN = "name: plain\nquorum: {share: 0.9}\nstages: [{stage: hello}]\n"


def texts(**values: object) -> list[str]:
    return [str(fault) for fault in check_sites(values)]


def test_a_cohort_of_one_hospital_cannot_be_hidden():
    stage = {"stage": "evaluate", "level": "sums", "cohorts": ["internal_test"]}
    found = texts(stages=[stage])
    assert len(found) == 1
    assert "secure sum has 3 sites at least" in found[0]
    assert "only 50" in found[0]
    assert not texts(stages=[{**stage, "cohorts": ["internal_test", "external_test_c"]}])
    plain = texts(stages=[{**stage, "level": "none"}])
    assert len(plain) == 1
    assert "a round of this stage has 3 sites at least" in plain[0]
    assert "state quorum.stages: {evaluate: 1}" in plain[0]
    assert not texts(stages=[{**stage, "level": "none"}], quorum={"stages": {"evaluate": 1}})
    assert texts(stages=[stage], quorum={"sites": 1}), "a secure sum of one site hides nothing"
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


def test_a_stage_that_is_none_of_the_plan_is_a_fault():
    found = texts(stages=[{"stage": "hello"}], quorum={"stages": {"fusoin": 1}})
    assert len(found) == 1
    assert "hello" in found[0]


def test_a_plan_that_states_nothing_keeps_its_digest(tmp_path):
    """The digest without the rule's keys, as plans from before the rule have them; taken at processing version 5."""
    path = tmp_path / "plan.yaml"
    path.write_text(PLAIN)
    assert load_plan(path).digest() == DIGEST
    assert load_plan(path).least_sites() == {"hello": 3}
    path.write_text(PLAIN.replace("{share: 0.9}", "{share: 0.9, sites: 3}"))
    assert load_plan(path).digest() == DIGEST
    path.write_text(PLAIN.replace("{share: 0.9}", "{share: 0.9, sites: 2}"))
    assert load_plan(path).digest() != DIGEST
    assert load_plan(path).least_sites() == {"hello": 2}
