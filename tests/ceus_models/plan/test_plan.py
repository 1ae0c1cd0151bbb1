from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ceus_models.plan.plan import load_plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.strategies import FedAvg, FedProx
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.protocol.messages import LocalRule, PrivateRule
from ceus_models.runtime.errors import FaultList
from ceus_models.study.processing import load_processing
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS

CONFIGS = Path(__file__).parents[3] / "configs"

GOOD = """\
name: test
quorum: {share: 0.7, required: [site-50], stages: {test: 1}}
processing: {size: 32}
stages:
  - stage: hello
  - stage: statistics
    min_correlation: 1e-1
  - stage: train
    name: submodels
    nets: [submodels]
    cohorts: [training_a]
    rounds: 7
    strategy: {name: fedprox, mu: 0.1}
    rule: {learning_rate: 1e-3}
    validate: {every: 3}
  - stage: train
    name: fusion
    nets: [fusion/D, fusion/DCB]
    cohorts: [training_b]
    rounds: 2
  - {stage: evaluate, name: test, nets: [fusion/DCB], cohorts: [internal_test], replicates: 10}
simulation: {anything: [1, 2]}
"""


def plan_of(text, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return load_plan(path)


def faults_of(text, tmp_path):
    with pytest.raises(FaultList) as caught:
        plan_of(text, tmp_path)
    return [str(fault).removeprefix("plan.yaml line ") for fault in caught.value.faults]


def changed(*pairs):
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_plan_is_read_into_types(tmp_path):
    plan = plan_of(GOOD, tmp_path)
    hello, statistics, train, fusion, evaluate = plan.stages
    assert isinstance(hello, Hello)
    assert isinstance(statistics, Statistics)
    assert statistics.min_correlation == 0.1, "1e-1 is a number in YAML 1.2"
    assert isinstance(train, Train)
    assert train.strategy == FedProx(mu=0.1)
    assert train.rule == LocalRule(learning_rate=0.001)
    assert train.validate == Validation(("validation",), 3)
    assert isinstance(fusion, Train)
    assert fusion.strategy == FedAvg()
    assert evaluate == Evaluate("evaluate", "test", ("fusion/DCB",), ("internal_test",), 10)
    assert plan.quorum.required == ("site-50",)
    assert plan.processing.size == 32
    assert plan.simulation == {"anything": [1, 2]}


def test_the_digest_sees_settings_and_not_layout(tmp_path):
    first = plan_of(GOOD, tmp_path)
    assert plan_of("# a comment\n" + GOOD.replace("rounds: 7", "rounds:    7"), tmp_path).digest() == first.digest()
    defaults = GOOD.replace("processing: {size: 32}", "processing: {size: 32, frames_to_peak: 80}")
    assert plan_of(defaults, tmp_path).digest() == first.digest()
    for old, new in (("rounds: 7", "rounds: 8"), ("size: 32", "size: 33"), ("mu: 0.1", "mu: 0.2"), ("[1, 2]", "[1]")):
        assert plan_of(changed((old, new)), tmp_path).digest() != first.digest()


def test_all_faults_come_at_once_with_their_lines(tmp_path):
    text = changed(
        ("name: test\nquorum", "name: test\nnonsense: 1\nquorum"),
        ("share: 0.7", "share: 70"),
        ("size: 32", "size: big"),
        ("nets: [submodels]", "nets: [submodels, disease/XYZ]"),
        ("cohorts: [training_a]", "cohorts: [training_x]"),
        ("rounds: 7", 'rounds: "7"'),
        ("learning_rate: 1e-3", "learning_rate: 0, speed: 1"),
        ("every: 3", "every: 0"),
        ("replicates: 10", "replicates: -1"),
    )
    faults = faults_of(text, tmp_path)
    expected = [
        ("2, nonsense: ", "unknown key; delete it"),
        ("3, quorum: ", "share must be between 0 and 1, not 70"),
        ("4, processing.size: ", 'found "big"; correct the value'),
        ("11, stages[2].nets[1]: a net is one of disease/HCC, ", "found 'disease/XYZ'; correct its spelling"),
        ("12, stages[2].cohorts[0]: a cohort is one of training_a, ", "found 'training_x'; correct its spelling"),
        ("13, stages[2].rounds: ", 'found "7"'),
        ("15, stages[2].rule.speed: ", "unknown key"),
        ("16, stages[2].validate.every: ", "greater than or equal to 1, found 0"),
        ("22, stages[4].replicates: ", "found -1"),
    ]
    assert len(faults) == len(expected)
    for fault, (place, words) in zip(faults, expected, strict=True):
        assert fault.startswith(place)
        assert words in fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("  - stage: hello\n", ""), "5, stages[0].stage: hello is the first stage"),
        (
            ("  - stage: statistics\n    min_correlation: 1e-1\n", ""),
            "statistics before training, or given constants, and not both, found neither",
        ),
        (("    name: fusion\n", "    name: submodels\n"), "names of stages differ, found two 'submodels'; rename one"),
        (("nets: [submodels]", "nets: [disease]"), "fusion/D stands on, found none for biomarker/CK19, biomarker/CK7"),
        (("[fusion/D, fusion/DCB]", "[disease/all, fusion/DCB]"), "train the two in stages of their own"),
        (
            ("nets: [fusion/DCB]", "nets: [fusion/DC, fusion/DCB]"),
            "a stage before this one trains fusion/DC, found none",
        ),
        (("stage: evaluate", "stage: dance"), "one of 'hello', 'statistics', 'train', 'evaluate', found 'dance'"),
        (("    name: fusion\n", ""), "stages[3].name: missing key"),
        (("name: fedprox, mu: 0.1", "name: fedprox"), "13, stages[2].strategy.mu: missing key"),
        (("name: fedprox, mu: 0.1", "name: fedsgd"), "13, stages[2].strategy.name: one of 'fedavg'"),
        (("mu: 0.1}", "mu: 0.1, name: fedavg}"), "13, stages[2].strategy.name: a key stands once"),
        (("cohorts: [internal_test]", "cohorts: []"), "at least 1 item"),
        (
            ("\nstages:", "\narchitecture: {width: 12}\nstages:"),
            "width: width must be a multiple of 8, not 12; make it 16",
        ),
    ],
)
def test_impossible_plans_are_refused(tmp_path, change, fault):
    assert fault in "\n".join(faults_of(changed(change), tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1", "plan.yaml line 1: the file is YAML"),
        (b"- a\n", "a plan is a mapping"),
        (b"", "a plan is a mapping"),
        (b"\xff\xfe\x00", "the file is UTF-8"),
        (b"a: !!python/object:os.system {}\n", "the file is YAML"),
    ],
)
def test_what_is_no_plan_is_said_in_a_sentence(tmp_path, content, words):
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    with pytest.raises(FaultList, match=words):
        load_plan(path)
    with pytest.raises(FaultList, match="absent.yaml: the file exists and can be read"):
        load_plan(tmp_path / "absent.yaml")


def test_shorthands_stand_for_their_nets_in_the_order_of_the_taxonomy():
    assert expand_names(["fusion", "submodels"]) == SUBMODELS + FUSION_NETS
    assert expand_names(["biomarker/Hep", "biomarker/Hep", "disease/HCC"]) == ("disease/HCC", "biomarker/Hep")
    with pytest.raises(ValueError, match="a net is one of .*, found 'diseases'"):
        expand_names(["diseases"])


@pytest.mark.parametrize("name", ["smoke", "demo", "paper", "paper-trunk"])
def test_the_plans_that_we_ship_load_and_train_what_the_study_trains(name):
    path = CONFIGS / f"plan.{name}.yaml"
    plan = load_plan(path)
    trained = {net for stage in plan.stages if isinstance(stage, Train) for net in expand_names(stage.nets)}
    assert trained >= set(SUBMODELS) | set(FUSION_NETS)
    tested = [stage for stage in plan.stages if isinstance(stage, Evaluate) and "fusion" in stage.nets]
    assert tested[-1].cohorts == ("internal_test", "external_test_a", "external_test_b", "external_test_c")
    assert plan.processing == load_processing(path)


def test_the_paper_plan_holds_the_numbers_of_the_study():
    plan = load_plan(CONFIGS / "plan.paper.yaml")
    assert (plan.processing.frames_to_peak, plan.processing.frames_after, plan.processing.flow_maps) == (80, 20, 10)
    assert plan.processing.size == 112
    assert (plan.architecture.spatial_depth, plan.architecture.temporal_depth, plan.architecture.width) == (34, 18, 64)
    assert plan.simulation["lesions"] == "paper"


def test_a_trunk_is_trained_as_a_whole_and_evaluated_by_output(tmp_path):
    text = SHARED
    plan = plan_of(text, tmp_path)
    train, test = plan.stages[2], plan.stages[3]
    assert train.list_trained_nets(plan.sharing) == ("trunk",)
    assert train.list_trained_nets("separate") == SUBMODELS
    progress = Progress(stage=3, nets={"trunk": {"w": torch.ones(2)}}, recipe=None)
    asked = find_rounds(test).task(progress, plan.study(1))
    assert asked.nets == ("disease/HM", "biomarker/Hep")
    assert set(asked.inputs) == {"trunk|w"}  # once, whichever heads are asked
    assert plan.digest() != plan_of(text.replace("sharing: trunk\n", ""), tmp_path).digest()
    for nets in ("[disease]", "[disease/HCC]", "[submodels, trunk]"):
        found = "\n".join(faults_of(text.replace("nets: [submodels]", f"nets: {nets}"), tmp_path))
        assert ("found 'trunk'" if "trunk" in nets else "trains all sub-models or none") in found
    assert "sharing" in "\n".join(faults_of(text.replace("sharing: trunk", "sharing: some"), tmp_path))


SHARED = """\
name: shared
sharing: trunk
stages:
  - stage: hello
  - stage: statistics
  - stage: train
    name: submodels
    nets: [submodels]
    cohorts: [training_a]
    rounds: 2
  - stage: evaluate
    name: test
    nets: [disease/HM, biomarker/Hep]
    cohorts: [validation]
"""
PRIVATE = """\
name: private
fusion_hidden: 0
given: {selected: [AFP]}
stages:
  - stage: hello
  - stage: train
    name: heads
    nets: [submodels]
    cohorts: [training_a]
    rounds: 5
    level: distributed
    strategy: {name: fedavgm}
    rule: {momentum: 0.0, trains: heads, private: {clip: 1.0, noise: 20.0, sites: 4}}
  - stage: train
    name: fusion
    nets: [fusion/DCB]
    cohorts: [training_b]
    rounds: 5
    level: local
    rule: {momentum: 0.0, private: {clip: 1.0, noise: 8.0}}
"""


def test_a_private_plan_is_read(tmp_path):
    plan = plan_of(PRIVATE, tmp_path)
    assert plan.study(1).recipe == plan.given.recipe(plan.architecture, 0)
    assert [stage.level for stage in plan.stages[1:]] == ["distributed", "local"]
    assert plan.stages[1].rule.private == PrivateRule(1.0, 20.0, 4)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("given: {selected: [AFP]}\n", "", "a plan with private stages has given constants, found none"),
        ("  - stage: hello\n", "  - stage: hello\n  - stage: statistics\n", "and not both, found both"),
        ("[AFP]", "[AFP, AFP]", "expected in selected each once of age"),
        ("fusion_hidden: 0", "architecture: {norm: batch_local}", "norm is group where training is private"),
        ("level: distributed", "validate: {every: 2}\n    level: distributed", "no validate, share 1"),
        ("level: distributed", "share: 0.5\n    level: distributed", "no validate, share 1"),
        ("{name: fedavgm}", "{name: fedprox, mu: 0.1}", "a strategy without a proximal term"),
        ("    level: distributed\n", "", "level distributed or local under a private rule, found none"),
        ("noise: 8.0", "noise: 8.0, sites: 3", "private.sites 1 at level local, found 3"),
        ("noise: 8.0", "noise: 8.0, views: 3", "trains all and private.views 1 for fusion nets"),
        ("{momentum: 0.0, private: {clip: 1.0, noise: 8.0}}", "{}", "a private rule at level local"),
        ("trains: heads, private", "trains: heads, epochs: 2, private", "epochs 1 in a private rule, found 2"),
        ("momentum: 0.0, trains", "trains", "momentum 0.0 in a private rule, found 0.9"),
        ("momentum: 0.0, trains", "momentum: 0.0, augment: true, trains", "augment False in a private rule"),
        (", private: {clip: 1.0, noise: 20.0, sites: 4}", "", "trains all in a rule that is not private"),
        ("noise: 20.0", "noise: 0.0", "noise: Input should be greater than 0"),
    ],
)
def test_private_stages_that_promise_nothing_are_refused(tmp_path, old, new, fault):
    assert PRIVATE.count(old) == 1
    assert fault in "\n".join(faults_of(PRIVATE.replace(old, new), tmp_path))
