"""The coordinator's console: who sees what, that nothing secret is in an answer, that nobody changes anything."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_sites import BAD, PLAN
from made_console import PATHS, ROLES, Desk, desk
from made_federation import PLAN as TINY
from made_federation import lab

import server.console.app
import server.console.sign_in.users
from ceus_models.runtime.findings import make_ok
from ceus_models.web.guard import HEADERS
from server.console.sign_in.users import add_person
from server.federation.founding import set_up_federation
from server.federation.studies import add_study, remove_study
from server.operations.liveness import Trouble
from server.operations.overview import SiteStatus
from server.operations.prometheus import HELP
from server.operations.snapshot import SnapshotCache
from server.rounds.events import Started
from server.run_folder.journal import Journal
from server.run_folder.orders import State, write_state
from server.run_folder.paths import StudyFolder

SEEN = {
    "researcher": {"/", "/rounds", "/report", "/status.json", "/style.css"},
    "coordinator": set(PATHS),
    "monitor": {"/metrics", "/healthz", "/status.json", "/style.css"},
}
FINGERPRINT = re.compile(r"[0-9a-f]{4}(-[0-9a-f]{4}){7}")


@pytest.fixture(scope="module", autouse=True)
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(server.console.sign_in.users._COST, "n", 2)  # hundreds of sign-ins
        yield desk(tmp_path_factory.mktemp("console"))


@pytest.fixture
def there(shared: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("server.console.app.load_plan", lambda path: PLAN)
    shared.said.clear()
    return shared


def test_every_page_is_asked_for_here() -> None:
    assert {page.path.replace("{number:int}", "1") for page in server.console.app.PAGES} == {*PATHS} - {"/style.css"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", PATHS)
def test_each_role_sees_its_pages_and_no_other(there: Desk, role: str, path: str) -> None:
    status = there.get(path, role).status
    assert status == (403 if path not in SEEN[role] else 503 if path == "/healthz" else 200)
    read = {"event": "read", "who": role, "page": path, "method": "GET", "status": status}
    assert there.said == ([] if (path, status) == ("/style.css", 200) else [read])


@pytest.mark.parametrize("path", [*PATHS[:-1], "/nothing", "/../people.json"])
def test_without_signing_in_nobody_sees_anything(there: Desk, path: str) -> None:
    for answer in (there.bare(path), there.bare(path, cookie="ceus-session-8090=wrong; x")):
        if path in ("/status.json", "/metrics", "/healthz"):
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
        else:
            assert answer.status == 303
            assert answer.headers["location"].startswith("/sign-in?to=%2F")
    monitor = there.tokens["monitor"]
    wrong = [
        there.ask(path, "monitor:wrong"),
        there.ask(path, "nobody:wrong"),
        there.ask(path, f"researcher:{monitor}"),
    ]
    wrong.append(there.bare(path, authorization=f"Bearer {monitor}"))
    wrong.append(there.bare(path, authorization="Basic ????"))
    assert {answer.status for answer in wrong} == {401}
    people = [there.ask(path, f"{who}:{there.tokens[who]}") for who in ("coordinator", "researcher")]
    assert {answer.status for answer in people} == {there.bare(path).status}, "a token alone is for machines"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_page_that_shows_something_changes_anything(there: Desk, method: str) -> None:
    there.get("/")
    before = {path: path.read_bytes() for path in there.made.home.folder.rglob("*") if path.is_file()}
    for path in PATHS:
        assert there.get(path, method=method).status == 405
        assert there.bare(path, method).status == (405 if path == "/style.css" else 401)
    for path in PATHS:
        there.get(path)
        there.get(path, method="HEAD")
    assert before == {path: path.read_bytes() for path in there.made.home.folder.rglob("*") if path.is_file()}


def secrets_of(there: Desk) -> set[str]:
    home = there.made.home
    people = json.loads(home.people.read_text())["people"]
    kept = {person[part] for person in people for part in ("salt", "hash")} | set(there.tokens.values())
    for key in (home.ca_key, home.front_key, home.superlink_key):
        kept |= set(key.read_text().splitlines()[1:-1])
    return kept | {
        home.superexec_secret.read_bytes().hex(),
        base64.b64encode(home.superexec_secret.read_bytes()).decode(),
    }


def test_no_key_and_no_token_is_in_any_answer_or_in_the_log(there: Desk) -> None:
    kept = secrets_of(there)
    assert len(kept) > 15
    there.ask("/", f"{there.tokens['monitor']}:coordinator")  # the two fields exchanged
    for path in (*PATHS, "/nothing"):
        for answer in (there.get(path), there.bare(path), there.ask(path, "coordinator:wrong")):
            whole = answer.text + str(answer.headers)
            assert not [one for one in kept if one in whole], path
    assert not [one for one in kept if one in json.dumps(there.said)]


def test_another_name_than_ours_is_refused_before_anybody_is_asked(there: Desk) -> None:
    for host in ("evil.example", "evil.example:8090", "127.0.0.1.evil.example", "", "localhost@evil", "[::2]:8090"):
        answer = there.get("/", host=host)
        assert answer.status == 400
        assert "www-authenticate" not in answer.headers
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8090", "[::1]:8090"):
        assert there.get("/", host=host).status == 200
    assert there.said
    assert all(event["status"] == 200 for event in there.said)


@pytest.mark.parametrize(
    "path",
    ["/../ca/ca.key", "/%2e%2e/secrets/people.json", "/record/..%2f..%2fca%2fca.key", "/report/../../ca/ca.key",
     "//etc/passwd", "/record/0", "/record/-1", "/record/99999", "/record/1.5", "/static/x", "/style.css/x"],
)  # fmt: skip
def test_no_path_leads_to_a_file(there: Desk, path: str) -> None:
    assert there.get(path).status == 404


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999", "²", "3"])
def test_any_number_of_a_page_gives_one_that_is_there(there: Desk, page: str) -> None:
    for path in ("/record", "/rounds"):
        assert there.get(f"{path}?page={page}").status == 200


def test_every_answer_has_the_strict_headers(there: Desk) -> None:
    for answer in (there.get("/"), there.get("/status.json"), there.bare("/"), there.get("/nothing")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = there.get("/report").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_pages_ask_for_nothing_from_elsewhere_and_bear_no_script_or_style(there: Desk) -> None:
    for path in ("/", "/rounds", "/sites", "/record", "/record/1"):
        text = there.get(path).text
        assert not re.search(r"<script|javascript:| on\w+=|<style| style=|src=|https?://", text), path


def test_a_hostile_name_of_a_site_is_escaped(there: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "<script>alert('site')</script>"
    before = SnapshotCache(there.made.home).get()
    seen = before.studies["tiny"]
    record = {**seen.rounds[0], "refused": {hostile: hostile}}
    sites = {hostile: SiteStatus(reason=hostile, doing="asked", seconds=3.0)}
    found = dataclasses.replace(seen, rounds=(record,), sites=sites, trouble=Trouble(hostile, 0.0, 5.0))
    monkeypatch.setattr(
        "server.console.app.SnapshotCache.get", lambda self: dataclasses.replace(before, studies={"tiny": found})
    )
    for path in ("/", "/rounds", "/sites"):
        text = there.get(path).text
        assert "<script" not in text, path
        assert "&lt;script&gt;" in text, path


def test_the_overview_has_trouble_rounds_and_curves(there: Desk) -> None:
    text = there.get("/", "researcher").text
    assert "no run yet" in text
    assert "does not run" in text
    assert "disease/HCC" in text
    assert '<polyline class="training"' in text
    assert f"{BAD}: lost: " in text


def test_the_site_that_the_round_waits_for_stands_first(there: Desk) -> None:
    events = there.made.study.run / "events.jsonl"
    before = events.read_text()
    try:
        Journal(there.made.study.run).append(Started("submodels", "train", 4, 3, 9, ("disease/HCC",), ("site-01", BAD)))
        last = json.loads(events.read_text().splitlines()[-1])
        events.write_text(before + json.dumps({**last, "running": last["running"] - 500}) + "\n")
        other = Desk(there.made, there.tokens)
        assert "Round under way" in other.get("/").text
        assert re.search(r'site-01</th>.*?<progress max="100" value="100">.*?slow', other.get("/").text, re.S)
    finally:
        events.write_text(before)


def test_sites_show_certificate_bundle_and_fault(there: Desk) -> None:
    text = there.get("/sites").text
    row = re.search(rf"{BAD}</th>(.*?)</tr>", text, re.S)
    assert row is not None
    assert "gave no answer" in row[1]
    assert "in use" in row[1]
    assert "364 days" in text
    assert FINGERPRINT.search(text)


def test_a_researcher_gets_no_fingerprint_and_no_inner_fault(there: Desk) -> None:
    for path in SEEN["researcher"]:
        assert not FINGERPRINT.search(there.get(path, "researcher").text), path
    document = there.get("/status.json", "researcher").json()
    assert document["federation"] == "lab"
    assert set(document) == {"federation", "up", "study", "sites", "run"}
    kept = set().union(*document["sites"])
    assert not kept & {"fingerprint", "expires", "days_left", "standing", "remedy", "reason", "look_at", "lesions"}
    assert {"fingerprint", "reason", "look_at"} <= set(there.get("/status.json").json()["sites"][0])


def test_the_record_has_every_message_with_its_fate(there: Desk) -> None:
    messages = (there.made.study.run / "mirror.jsonl").read_text().splitlines()
    text = there.get("/record").text
    assert text.count("<tr><th scope") == len(messages)
    first = json.loads(messages[0])
    page = there.get("/record/1").text
    assert first["task"] in page
    assert first["digest"] in page
    assert "counted" in text
    assert "gave no answer" in text


def test_the_report_is_of_the_newest_round_and_nothing_is_written_for_it(there: Desk) -> None:
    text = there.get("/report", "researcher").text
    assert "fedceus report: faults" in text
    assert not (there.made.study.run / "report.html").exists()
    (there.made.study.run / "report.html").write_text("<p>as published</p>")
    try:
        assert there.get("/report").text == "<p>as published</p>"
    finally:
        (there.made.study.run / "report.html").unlink()


def test_gauges_are_those_that_status_prints(there: Desk) -> None:
    answer = there.get("/metrics", "monitor")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert set(re.findall(r"^# HELP (\w+)", answer.text, re.M)) <= set(HELP)
    assert "ceus_up 0" in answer.text


def test_health_is_whether_it_can_answer(there: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = there.get("/healthz", "monitor")
    assert answer.status == 503
    assert "nothing runs for" in answer.text
    monkeypatch.setattr(
        "server.console.app.health_of", lambda home, federation: make_ok("coordinator", "up; run: none")
    )
    answer = there.get("/healthz", "monitor")
    assert (answer.status, answer.text) == (200, "up; run: none")


def test_files_that_cannot_be_read_are_told_to_who_signed_in_alone(tmp_path: Path) -> None:
    there = desk(tmp_path)
    there.made.home.sites.write_text("{")
    answer = there.get("/")
    assert answer.status == 503
    assert "register of sites is damaged" in answer.text
    there.made.home.people.chmod(0o644)
    answer = there.get("/")
    assert (answer.status, answer.text) == (503, "the console cannot answer; its log says why")
    assert "others may read" in there.said[-1]["said"]


def test_a_bug_gives_its_kind_to_the_log_and_nothing_to_the_browser(
    there: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("a value of somebody")

    monkeypatch.setattr("server.console.app.render_metrics", broken)
    answer = there.get("/metrics")
    assert answer.status == 500
    assert "somebody" not in answer.text + json.dumps(there.said)
    assert there.said[0]["type"] == "ZeroDivisionError"


def test_a_study_that_has_not_begun_is_shown_too(tmp_path: Path) -> None:
    made = lab(tmp_path / "co")
    there = Desk(made, {})
    there.tokens["coordinator"] = add_person(made.home, "coordinator", "coordinator", made.now)
    for path in ("/", "/rounds", "/sites", "/record", "/report", "/status.json", "/metrics"):
        assert there.get(path).status == 200, path
    assert "No round has begun" in there.get("/").text
    assert "No round is finished yet" in there.get("/report").text


@pytest.fixture
def two(tmp_path: Path) -> Desk:
    """A second study beside the one that was walked."""
    there = desk(tmp_path)
    plan = tmp_path / "second.yaml"
    plan.write_text(TINY.replace("tiny", "second"))
    add_study(there.made.home, plan, None, 1, there.made.now)
    set_up_federation(there.made.home.folder, None, there.made.now)
    return Desk(there.made, there.tokens)


def test_with_one_study_no_page_speaks_of_a_choice(there: Desk) -> None:
    for path in ("/", "/rounds", "/sites", "/record", "/record/1"):
        assert "study=" not in there.get(path).text, path


def test_a_page_is_of_the_study_that_is_asked_for_and_leads_to_the_others(two: Desk) -> None:
    for path in ("/", "/rounds", "/sites", "/record"):
        page = two.get(f"{path}?study=tiny").text
        assert f'<a href="{path}?study=tiny" aria-current="true">tiny</a>' in page, path
        assert f'<a href="{path}?study=second">second</a>' in page, path
        assert '<a href="/record?study=tiny"' in page, "the tabs stay with the study"
    assert f"{BAD}: lost: " in two.get("/rounds?study=tiny").text
    assert "No round is finished yet" in two.get("/rounds?study=second").text
    assert "No message was sent yet" in two.get("/record?study=second").text
    assert two.get("/record/1?study=tiny").status == 200
    assert two.get("/record/1?study=second").status == 404
    assert '<a href="/record?page=1&amp;study=tiny">' in two.get("/record/1?study=tiny").text
    bundles = [re.search(r"<code>([0-9a-f]{64})</code>", two.get(f"/sites?study={n}").text) for n in ("tiny", "second")]
    assert len({found[1] for found in bundles if found}) == 2


def test_without_a_name_it_is_the_one_at_work(two: Desk) -> None:
    assert 'aria-current="true">second</a>' in two.get("/").text, "the first by name"
    write_state(StudyFolder(two.made.home, "second"), State(phase="waiting"))
    write_state(StudyFolder(two.made.home, "tiny"), State(phase="running"))
    assert 'aria-current="true">tiny</a>' in two.get("/").text


@pytest.mark.parametrize("name", ["third", "../tiny", ".", "tiny/../second", "%00"])
def test_a_study_that_is_none_is_told_so(two: Desk, name: str) -> None:
    for path in ("/", "/rounds", "/sites", "/record", "/record/1", "/report", "/status.json"):
        assert two.get(f"{path}?study={name}").status == 404, path


def test_machines_get_all_studies_or_the_one_they_name(two: Desk) -> None:
    document = two.get("/status.json").json()
    assert [one["study"] for one in document["studies"]] == ["second", "tiny"]
    assert two.get("/status.json?study=tiny").json()["study"] == "tiny"
    shown = two.get("/status.json", "researcher").json()
    assert set(shown) == {"federation", "up", "studies"}
    assert set(shown["studies"][0]) == {"study", "sites", "run"}
    assert not FINGERPRINT.search(two.get("/status.json", "researcher").text)
    assert 'ceus_run{study="tiny",phase="none"} 1' in two.get("/metrics", "monitor").text


def test_a_federation_without_a_study_says_so(tmp_path: Path) -> None:
    there = desk(tmp_path)
    remove_study(there.made.study, there.made.now)
    for path in ("/", "/rounds", "/report"):
        assert "There is no study yet" in there.get(path).text
    assert there.get("/status.json").json()["studies"] == []
    assert there.get("/metrics").status == 200


def test_notices_that_nobody_gets_are_told_to_the_coordinator_alone(there: Desk) -> None:
    there.made.home.notices.write_text("people: []\n", encoding="utf-8")
    try:
        fault = "nobody is told anything"
        assert fault in there.get("/", "coordinator").text
        assert fault not in there.get("/", "researcher").text
    finally:
        there.made.home.notices.unlink()
    assert fault not in there.get("/", "coordinator").text
