"""A whole study gives the same result with secure sums as without, over every link; a site's refusals are audited."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from secure_plan import fingerprint, write_secure_plan
from toy_study import NAMES, make_plan, open_toy_site

from ceus_models.plan.plan import load_plan
from ceus_models.protocol.messages import Level, Refusal, Session, Sharing, Task
from ceus_models.protocol.privacy.secure_session import compute_threshold
from client.worker.audit.log import entries
from client.worker.site.site import Site
from server.rounds.coordinator import run
from server.rounds.events import Event, Finished
from server.rounds.saving.checkpoints import Store
from sim.engine.flower_link import run_processes
from sim.engine.inline_link import InlineLink
from sim.engine.memory_link import MemoryLink
from sim.engine.sites import HospitalOpener
from sim.hospital.prepare import Hospitals, parse_simulation, prepare_hospitals


def study(folder: Path, level: Level, sharing: Sharing = "separate") -> tuple[str, list[Event], dict[str, Site]]:
    sites = {name: open_toy_site(folder, name, strict=level == "sums") for name in NAMES}
    events: list[Event] = []
    progress = run(make_plan(level, sharing), InlineLink(NAMES, sites.__getitem__), Store(folder), 5, events.append)
    return fingerprint(progress), events, sites


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Event], dict[str, Site]]:
    return study(tmp_path_factory.mktemp("secure"), "sums")


def test_a_study_with_secure_sums_is_the_study_without(secure, tmp_path: Path) -> None:
    """Real sites, real nets: recipe, weights, curves, counts and records are the same to the last bit."""
    assert secure[0] == study(tmp_path, "none")[0]


def test_a_trunk_is_summed_under_masks_as_any_net(tmp_path: Path) -> None:
    assert study(tmp_path / "sums", "sums", "trunk")[0] == study(tmp_path / "none", "none", "trunk")[0]


def test_all_sites_count_in_every_round(secure) -> None:
    records = [event.record for event in secure[1] if isinstance(event, Finished)]
    assert len(records) == 7
    assert all(record.counted == tuple(NAMES) for record in records)
    assert all(not record.clipped for record in records)


def test_the_audit_knows_the_true_norms_and_what_was_opened(secure) -> None:
    site = secure[2]["site-01"]
    found = list(entries(site.records))
    masked = [entry for entry in found if entry["kind"] == "masked"]
    assert len(masked) == 6
    assert [set(entry["norms"]) for entry in masked] == [set(), {"disease/HCC"}, set(), {"disease/HCC"}, set(), set()]
    answers = [
        entry for entry in found if entry["kind"] == "answer" and entry["asked"] in ("tally", "train", "evaluate")
    ]
    assert len(answers) == 6
    assert all(set(entry["groups"]) == {""} and entry["weight"] == 0 for entry in answers)
    opened = [entry for entry in entries(site.records, "sessions") if entry["kind"] == "opened"]
    assert len(opened) == 6
    assert all(entry["survivors"] == NAMES for entry in opened)


def test_a_refused_question_stands_in_the_audit(secure) -> None:
    site = secure[2]["site-02"]
    digest = make_plan("sums").digest()
    asked = Task("offer", digest, 5, "one", 1, level="sums", session=Session("0" * 32, tuple(NAMES), 1))
    for task, why in (
        (asked, "a threshold of two thirds"),
        (replace(asked, kind="unmask"), "a threshold of two thirds"),
        (replace(asked, kind="tally", stage="statistics", round=0, cohorts=("training_a",)), ""),
    ):
        answer = site.handle(task)
        assert isinstance(answer, Refusal)
        assert why in answer.reason
        last = list(entries(site.records))[-1]
        assert (last["kind"], last["code"], last["reason"]) == ("refusal", answer.code, answer.reason)


def test_a_plain_question_at_a_secure_level_is_refused(tmp_path: Path) -> None:
    site = open_toy_site(tmp_path, "site-01", strict=False)
    for task in (
        Task("tally", "plan", 5, "statistics", 0, cohorts=("training_a",), level="sums"),
        Task("tally", "plan", 5, "statistics", 0, session=Session("0" * 32, tuple(NAMES), compute_threshold(7))),
    ):
        answer = site.handle(task)
        assert isinstance(answer, Refusal)
        assert answer.code == "session"


SEED = 3


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Hospitals]:
    out = tmp_path_factory.mktemp("hospitals")
    plan = load_plan(write_secure_plan(out / "none.yaml", "none"))
    return out, prepare_hospitals(parse_simulation(plan.simulation), plan.processing, SEED, out, 2, lambda *_: None)


def run_in_memory(out: Path, made: Hospitals, level: Level, workers: int) -> str:
    plan = load_plan(write_secure_plan(out / f"{level}-{workers}.yaml", level))
    costs = {site: float(one.read) for site, one in made.prepared.items()}
    with MemoryLink(costs, HospitalOpener(made.folders, plan.processing), workers) as link:
        return fingerprint(run(plan, link, Store(out / f"{level}-{workers}"), SEED))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_seven_hospitals_over_every_link(hospitals) -> None:
    """Phantom hospitals, plain and secure, for one and two workers, and through Flower's processes."""
    out, made = hospitals
    plain = run_in_memory(out, made, "none", 2)
    for workers in (1, 2):
        assert run_in_memory(out, made, "sums", workers) == plain
    path = write_secure_plan(out / "flower.yaml", "sums")
    run_processes(path, out / "flower", SEED, made.folders)
    progress = Store(out / "flower").latest(load_plan(path).digest(), SEED)
    assert progress is not None
    assert fingerprint(progress) == plain
