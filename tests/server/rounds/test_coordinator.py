from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.terms.participation import Quorum
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.protocol.messages import Architecture, LocalRule, Refusal, Update
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.taxonomy import FUSION_NETS, NETS, SUBMODELS
from server.rounds.coordinator import run
from server.rounds.events import Answered, Finished, Started
from server.rounds.round import Lost
from server.rounds.saving.checkpoints import Store
from tests.support.fake_sites import federation

RULE = LocalRule(batch_size=8)


def small_plan(**changes) -> Plan:
    changes["quorum"] = replace(changes.get("quorum", Quorum()), sites=1)
    stages = (
        Hello("hello"),
        Statistics("statistics"),
        Train("train", "submodels", ("submodels",), ("training_a",), 2, rule=RULE, validate=Validation(every=1)),
        Train("train", "fusion", ("fusion",), ("training_b",), 2, rule=RULE),
        Evaluate("evaluate", "test", ("fusion",), ("internal_test", "external_test_c"), 20),
    )
    return Plan(
        name="small",
        stages=stages,
        architecture=Architecture(spatial_depth=10, temporal_depth=10, width=8, hidden=8),
        fusion_hidden=4,
        **changes,
    )


@pytest.fixture(autouse=True, scope="module")
def tiny_nets():
    """Nets of a few weights; what the coordinator does with them does not depend on their size."""

    def tiny(net, recipe, seed):
        generator = torch.Generator().manual_seed(derive_seed(seed, net))
        return {name: torch.randn(shape, generator=generator) for name, shape in (("w", (3, 2)), ("bias", (2,)))}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        yield


def digests(progress):
    return {net: digest(state) for net, state in progress.nets.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_nets):
    link, events = federation(), []
    progress = run(small_plan(), link, Store(tmp_path_factory.mktemp("study")), 7, events.append)
    return progress, link, events


def test_a_study_ends_with_every_net_and_a_record_of_every_round(undisturbed):
    progress, _, _ = undisturbed
    assert set(progress.nets) == set(SUBMODELS) | set(FUSION_NETS)
    assert set(progress.nets) < set(NETS)
    kinds = [record.kind for record in progress.participation]
    assert kinds == ["hello", "tally", "train", "evaluate", "train", "evaluate", "train", "train", "evaluate"]
    for record in progress.participation:
        fates = [*record.counted, *record.idle, *record.refused, *record.excluded, *record.lost]
        assert sorted(fates) == list(record.asked)
        assert len(record.registered) == 5


def test_only_sites_with_lesions_are_asked(undisturbed):
    progress, _, _ = undisturbed
    asked = {(record.stage, record.kind): record.asked for record in progress.participation}
    assert asked["submodels", "train"] == ("site-01", "site-02")
    assert asked["fusion", "train"] == ("site-37", "site-38")
    assert asked["test", "evaluate"] == ("site-01", "site-37", "site-50")


def test_a_share_of_the_sites_is_asked_to_train_and_all_to_validate(tmp_path):
    plan = small_plan()
    stages = tuple(
        replace(stage, rounds=12, share=0.5) if isinstance(stage, Train) and stage.name == "submodels" else stage
        for stage in plan.stages
    )
    records = run(replace(plan, stages=stages), federation(), Store(tmp_path), 7).participation
    trained = [record.asked for record in records if (record.stage, record.kind) == ("submodels", "train")]
    assert len(trained) == 12
    assert set(trained) == {("site-01",), ("site-02",)}
    validated = next(record.asked for record in records if (record.stage, record.kind) == ("submodels", "evaluate"))
    assert validated == ("site-01", "site-02")


def test_frozen_submodels_travel_once_to_each_site_and_in_the_same_round(undisturbed):
    _, link, _ = undisturbed
    fusion = [(task, sites) for task, sites in link.asked if task.frozen]
    with_them = [sites for task, sites in fusion if any(name.startswith("disease/") for name in task.inputs)]
    assert with_them == [("site-37", "site-38"), ("site-01", "site-50")]
    assert len({task.frozen for task, _ in fusion}) == 1
    assert fusion[0][0].round == fusion[1][0].round


def test_events_tell_every_answer_and_round(undisturbed):
    progress, _, events = undisturbed
    assert sum(isinstance(event, Started) for event in events) == len(progress.participation)
    assert sum(isinstance(event, Finished) for event in events) == len(progress.participation)
    answers = [event for event in events if isinstance(event, Answered)]
    assert len(answers) == sum(len(record.asked) for record in progress.participation)
    assert all(event.fate == "counted" for event in answers)
    points = [point for event in events if isinstance(event, Finished) for point in event.points]
    assert tuple(points) == progress.curves


def test_the_order_of_arrival_does_not_matter(undisturbed, tmp_path):
    progress = run(small_plan(), federation(backwards=True), Store(tmp_path), 7)
    assert digests(progress) == digests(undisturbed[0])


def test_another_seed_gives_other_nets(undisturbed, tmp_path):
    progress = run(small_plan(), federation(), Store(tmp_path), 8)
    assert not set(digests(progress).values()) & set(digests(undisturbed[0]).values())


class PowerCutError(Exception):
    pass


class CutLink:
    """The machine dies in the middle of round number `at`, after the first answer."""

    def __init__(self, link, at):
        self.link, self.left = link, at

    def sites(self):
        return self.link.sites()

    def ask(self, task, sites):
        for pair in self.link.ask(task, sites):
            yield pair
            self.left -= 1
            if self.left < 0:
                raise PowerCutError


@pytest.mark.parametrize("answers", [0, 6, 8, 11, 14, 18, 22])
def test_a_killed_study_goes_on_to_the_same_result(undisturbed, tmp_path, answers):
    with pytest.raises(PowerCutError):
        run(small_plan(), CutLink(federation(), answers), Store(tmp_path), 7)
    progress = run(small_plan(), federation(), Store(tmp_path), 7)
    assert digests(progress) == digests(undisturbed[0])
    assert [r.counted for r in progress.participation] == [r.counted for r in undisturbed[0].participation]
    assert progress.curves == undisturbed[0].curves
    expected = undisturbed[0].totals["test"]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in progress.totals["test"].items())


def test_a_finished_study_asks_nobody(undisturbed, tmp_path):
    run(small_plan(), federation(), Store(tmp_path), 7)
    link = federation()
    again = run(small_plan(), link, Store(tmp_path), 7)
    assert link.asked == []
    assert digests(again) == digests(undisturbed[0])


def poison(task, answer):
    if task.kind != "train" or not isinstance(answer, Update):
        return answer
    return replace(answer, sums={name: t * float("nan") for name, t in answer.sums.items()})


def test_a_bad_answer_excludes_its_site_by_name_and_the_round_goes_on(tmp_path):
    link = federation(spoil={"site-02": poison})
    progress = run(small_plan(quorum=Quorum(0.5)), link, Store(tmp_path), 7)
    rounds = [r for r in progress.participation if r.stage == "submodels" and r.kind == "train"]
    assert all(r.counted == ("site-01",) for r in rounds)
    assert all("NaN" in r.excluded["site-02"] for r in rounds)
    assert all(torch.isfinite(t).all() for state in progress.nets.values() for t in state.values())


def test_too_few_sites_stop_the_study_by_name_and_it_can_be_resumed(undisturbed, tmp_path):
    def lose(task, answer):
        return Lost("site-38", "no answer within 60 s") if task.kind == "train" else answer

    with pytest.raises(
        ExpectedError, match=r"fusion, train round 1: .*site-38: no answer within 60 s.*last saved round"
    ):
        run(small_plan(), federation(spoil={"site-38": lose}), Store(tmp_path), 7)
    progress = run(small_plan(), federation(), Store(tmp_path), 7)
    assert digests(progress) == digests(undisturbed[0])


def test_a_required_site_must_take_part(tmp_path):
    def refuse(task, answer):
        return Refusal("site-50", "evaluation is not allowed here", "policy") if task.kind == "evaluate" else answer

    plan = small_plan(quorum=Quorum(0.1, ("site-50",)))
    with pytest.raises(ExpectedError, match=r"site-50 must take part .*evaluation is not allowed here"):
        run(plan, federation(spoil={"site-50": refuse}), Store(tmp_path), 7)


def test_a_required_site_that_never_registers_stops_the_hello(tmp_path):
    with pytest.raises(ExpectedError, match="site-99: not registered"):
        run(small_plan(quorum=Quorum(0.1, ("site-99",))), federation(), Store(tmp_path), 7)


def test_a_site_of_another_version_is_not_asked_again(tmp_path):
    def refuse(task, answer):
        return Refusal("site-02", "runs 0.0.9, the study 0.1.0", "version")

    plan = small_plan(quorum=Quorum(0.5))
    link = federation(spoil={"site-02": refuse})
    progress = run(plan, link, Store(tmp_path), 7)
    assert progress.participation[0].refused == {"site-02": "runs 0.0.9, the study 0.1.0"}
    assert all("site-02" not in sites for task, sites in link.asked if task.kind != "hello")


def test_a_site_that_went_away_is_recorded_as_lost(tmp_path):
    link = federation()
    run_until_hello = small_plan().stages[:2]
    plan = small_plan(quorum=Quorum(0.5))
    Store(tmp_path)
    original = link.sites

    def sites():
        return [s for s in original() if s != "site-02" or len(link.asked) < len(run_until_hello)]

    link.sites = sites  # type: ignore[method-assign]
    progress = run(plan, link, Store(tmp_path), 7)
    trained = next(r for r in progress.participation if r.kind == "train")
    assert trained.lost == {"site-02": "not connected"}
    assert trained.counted == ("site-01",)


def test_a_stage_that_too_few_sites_can_answer_stops_the_study_before_a_lesion_is_looked_at(tmp_path):
    """Two sites hold training A, two training B."""
    plan, link = replace(small_plan(), quorum=Quorum(stages={"submodels": 2})), federation()
    with pytest.raises(
        ExpectedError, match=r"fusion needs at least 3 sites, 2 can answer \(site-37, site-38\)"
    ) as error:
        run(plan, link, Store(tmp_path), 7)
    assert "test needs" not in str(error.value)
    assert {task.kind for task, _ in link.asked} == {"hello"}


def test_a_round_that_fewer_sites_answer_than_the_stage_needs_does_not_count(tmp_path):
    def refuse(task, answer):
        return Refusal("site-02", "not today", "policy") if task.kind == "tally" else answer

    plan = replace(small_plan(), quorum=Quorum(0.1, sites=2, stages={"statistics": 4}))
    link = federation(spoil={"site-02": refuse})
    with pytest.raises(ExpectedError, match=r"at least 4 sites must be counted, 3 were \(site-02: not today"):
        run(plan, link, Store(tmp_path), 7)


def test_a_share_takes_as_many_sites_as_the_stage_needs(tmp_path):
    def sampled(least):
        stages = tuple(replace(s, share=0.01) if isinstance(s, Train) else s for s in small_plan().stages)
        plan = replace(small_plan(), stages=stages, quorum=Quorum(sites=least))
        link = federation()
        run(plan, link, Store(tmp_path / str(least)), 7)
        return {len(sites) for task, sites in link.asked if task.kind == "train"}

    assert (sampled(1), sampled(2)) == ({1}, {2})
