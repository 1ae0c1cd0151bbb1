"""What `status` says, from the folder of a run that was walked by real links, and from one in the middle of a round."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from faulty_sites import BAD, NAMES, PLAN, STAGE, Post, link_of, silent
from killed_coordinator import tiny
from made_federation import NOW, lab
from rich.console import Console

from ceus_models.protocol.audit_mark import AuditMark
from ceus_models.protocol.messages import Task
from ceus_models.protocol.software import Software
from server.federation.expiry import Validity, summarize_validity
from server.federation.federation_file import load_federation
from server.federation.site_register import read_register
from server.operations.liveness import Trouble
from server.operations.overview import Overview, SiteStatus, build_overview
from server.operations.snapshot import Snapshot
from server.operations.status_text import print_status, render_status
from server.rounds.coordinator import run
from server.rounds.events import Started
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import State, write_state
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import find_plan
from server.transport.audit_watch import AnswerNote
from server.transport.message_log import MessageLog

HELD = {f"site-0{n}" for n in range(1, 7)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A run whose site 4 gave nothing in the second round of training."""
    made = lab(tmp_path_factory.mktemp("co"))
    folder = made.study.run
    Journal(folder).begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        run(PLAN, link_of(Post(silent), MessageLog(folder)), Store(folder), 7, Journal(folder).append)
    return made.study


def seen(study: StudyFolder, online: set[str] | None = None) -> Overview:
    return build_overview(study, True, online, ["site-01", "site-77"])


def snapshot(study: StudyFolder, found: Overview) -> Snapshot:
    return Snapshot(valid(study), True, {study.name: found})


def valid(study: StudyFolder) -> Validity:
    home = study.home
    return summarize_validity(home, load_federation(home.federation), read_register(home), NOW)


def test_every_site_has_its_rounds_bytes_and_reason(study: StudyFolder) -> None:
    found = seen(study, online=set(NAMES) - {"site-02"})
    assert set(found.sites) == {*NAMES, "site-77"}
    assert found.sites[BAD].rounds == {"counted": 4, "lost": 1}
    assert "gave no answer" in found.sites[BAD].reason
    assert found.sites["site-01"].rounds == {"counted": 5}
    lines = list(MessageLog(study.run).read_lines())
    sent = sum(line["bytes"] for line in lines if (line["site"], line["event"]) == ("site-01", "sent"))
    assert found.sites["site-01"].sent["all"] == sent > 0
    assert 0 < found.sites["site-01"].received["round"] < found.sites["site-01"].received["all"]
    assert (found.sites["site-02"].connected, found.sites["site-01"].connected) == (False, True)
    assert found.sites["site-77"].connected is False
    assert not found.sites["site-77"].admitted
    assert seen(study).sites["site-01"].connected is None


def test_a_site_with_older_records_and_patients_who_withdrew_are_told(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.home.folder, tmp_path / "co")
    copied = StudyFolder(Home(tmp_path / "co"), study.name)
    log, task = MessageLog(copied.run), Task("train", "s", 7, "one", 4)
    log.on_answer(task, "site-02", b"x", 1.0, AnswerNote(audit=AuditMark(9, "ab" * 32), withdrawn=2))
    log.on_answer(task, "site-02", b"x", 1.0, AnswerNote("its audit went back", alarm=True))
    known = Software("0.2.0", "ab" * 32, "3.11.9", "2.9.0", "cd" * 32).describe()
    log.on_answer(task, "site-03", b"x", 1.0, AnswerNote(software=known))
    found = seen(copied)
    assert found.sites["site-03"].software == known
    assert (found.sites["site-02"].look_at, found.sites["site-02"].withdrawn) == ("its audit went back", 2)
    assert found.as_json(valid(study))["sites"][1]["withdrawn"] == 2
    text = render_status(snapshot(study, found), 0)
    assert "site-02 must be looked at: its audit went back" in text
    assert f"{known}: site-03" in text
    assert "site-02: 2 patients of study tiny have withdrawn" in text
    log.on_answer(task, "site-02", b"x", 1.0, AnswerNote(audit=AuditMark(3, "cd" * 32, "ef" * 32)))
    assert seen(copied).sites["site-02"].look_at == ""


def test_every_round_has_who_counted_and_its_curves(study: StudyFolder) -> None:
    rounds = seen(study).rounds
    assert [(r["kind"], r["round"]) for r in rounds] == [("hello", 0), ("tally", 0), *(("train", n) for n in (1, 2, 3))]
    assert rounds[3]["lost"].keys() == {BAD}
    assert [len(r["counted"]) for r in rounds] == [6, 6, 6, 5, 6]
    losses = [r["curves"]["disease/HCC"] for r in rounds[2:]]
    assert losses == pytest.approx([1.0, 0.5, 1 / 3])
    assert rounds[0]["curves"] == {}


def test_a_round_under_way_shows_who_is_at_it_and_how_far_by_its_own_history(
    study: StudyFolder, tmp_path: Path
) -> None:
    other = lab(tmp_path / "co").study
    other.run.mkdir()
    for name in ("mirror.jsonl", *(path.name for path in study.run.glob("progress-*"))):
        (other.run / name).write_bytes((study.run / name).read_bytes())
    journal = Journal(other.run)
    journal.append(Started(STAGE, "train", 4, 3, 4, ("disease/HCC",), NAMES))
    event = json.loads((other.run / "events.jsonl").read_text())
    (other.run / "events.jsonl").write_text(json.dumps({**event, "running": event["running"] - 5.0}) + "\n")
    found = seen(other)
    assert found.round["asked"] == list(NAMES)
    assert not found.round["over"]
    site = found.sites["site-01"]
    assert site.doing == "asked"
    assert site.seconds is not None
    assert site.seconds >= 5.0
    assert site.share == 1.0, "its earlier rounds took far less"
    assert site.sent["round"] == 0


def test_a_run_under_way_says_how_far_it_is(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.home.folder, tmp_path / "co")
    copied = StudyFolder(Home(tmp_path / "co"), study.name)
    hello = {"stage": "hello", "kind": "hello", "round": 0, "step": 1, "seconds": 2.0}
    (copied.run / "rounds.jsonl").write_text(json.dumps(hello) + "\n", encoding="utf-8")
    assert seen(copied).estimate == "", "it is not under way"
    write_state(copied, State(phase="running"))
    found = seen(copied)
    assert found.estimate.startswith("round 1 of ")
    assert found.as_json(valid(study))["run"]["estimate"] == found.estimate
    assert found.estimate in render_status(snapshot(study, found), 0)
    find_plan(copied).write_text("stages: none\n", encoding="utf-8")
    assert "the plan cannot be read" in seen(copied).estimate


def test_a_folder_without_a_run_is_shown_too(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    found = build_overview(made.study, False, None, ["site-01"])
    assert (found.round, found.rounds, found.state.phase) == ({}, (), "none")
    assert found.sites["site-01"].rounds == {}


def test_the_json_has_certificate_and_run_of_every_site_in_one_place(study: StudyFolder) -> None:
    found = json.loads(json.dumps(seen(study, set()).as_json(valid(study))))
    assert set(found) == {"federation", "servers", "sites", "warnings", "up", "study", "run"}
    sites = {site["name"]: site for site in found["sites"]}
    assert sites["site-01"].keys() >= {"standing", "expires", "days_left", "connected", "doing", "rounds", "sent"}
    assert sites[BAD]["rounds"]["lost"] == 1
    assert len(found["run"]["rounds"]) == 5


def test_the_page_names_site_and_reason(study: StudyFolder) -> None:
    out = io.StringIO()
    print_status(snapshot(study, seen(study, set(NAMES))), Console(file=out, width=200))
    text = out.getvalue()
    assert "gave no answer" in text
    assert "5 of 6" in text
    assert "0.3333" in text


def test_the_page_for_browsers_has_the_same_and_asks_for_nothing_else(study: StudyFolder) -> None:
    page = render_status(snapshot(study, seen(study, set(NAMES))), 30)
    assert "gave no answer" in page
    assert '<meta http-equiv="refresh" content="30">' in page
    assert not re.search(r"<script|<link|src=|http://|https://", page)
    assert "refresh" not in render_status(snapshot(study, seen(study)), 0)


def test_hostile_names_and_reasons_are_escaped_on_the_page(study: StudyFolder) -> None:
    hostile = "<script>alert('site')</script>"
    found = seen(study, set(NAMES))
    site = SiteStatus(reason=hostile, look_at=hostile)
    trouble = Trouble(hostile, 0.0, 5.0)
    changed = dataclasses.replace(found, sites={hostile: site}, trouble=trouble)
    page = render_status(snapshot(study, changed), 30)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 5
