"""The site's console: one browser gets in, it shows counts and ids and no patient, and its buttons are guarded."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_site_console import LESIONS, PAGES, SiteDesk, hospital
from safetensors import safe_open

import client.console.app
from ceus_models.runtime.exit_codes import run_app
from ceus_models.web.guard import HEADERS
from client.cli.main import app
from client.console.actions import Actions
from client.data.dataset.index_file import read_index_counts
from client.data.forms.site_config import load_site
from client.worker.audit.log import LOG_FILE, entries
from client.worker.site.opt_out import read_participation

ACTIONS = tuple(route.path for route in Actions(None, None, None).routes())  # type: ignore[arg-type]
EVERYWHERE = (*PAGES, "/style.css", "/nothing")
LOADED = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from asked_app import asked
from client.cli.main import app
from client.data.forms.site_config import load_site
from client.console.app import console
from client.console.session import Session
folder = Path(sys.argv[1])
session = Session("ada", 8091, print)
made = console(load_site(folder), folder / "none.sock", session, print)
first = asked(made, f"/?token={session.token}")
cookie = {"cookie": first.headers["set-cookie"].partition(";")[0]}
pages = [asked(made, path, headers=cookie).status for path in sys.argv[3:]]
print(pages, [name for name in ("torch", "torchvision", "flwr", "pandas") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("site"))


@pytest.fixture
def there(folder: Path) -> SiteDesk:
    made = SiteDesk(folder)
    made.sign_in()
    made.said.clear()
    return made


def test_every_page_is_asked_for_here() -> None:
    assert {path.replace("{number:int}", "7") for path, _, _ in client.console.app.PAGES} == set(PAGES)


def test_the_url_works_once_and_becomes_a_cookie_of_one_browser(folder: Path) -> None:
    made = SiteDesk(folder)
    assert made.bare(f"/?token={made.token}", "HEAD").status == 401
    assert made.bare(f"/audit?token={made.token}").status == 401
    assert made.bare("/?token=wrong").status == 401
    first = made.sign_in()
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert re.match(r"ceus-site-8091=[\w-]{40,}; ", cookie)
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert made.get("/").status == 200
    assert made.bare(f"/?token={made.token}").status == 401
    assert made.waits == [0.5, 0.5, 0.5, 0.5]
    told = json.dumps(made.said)
    assert made.token not in told
    assert made.cookie.partition("=")[2] not in told
    assert '"who": "ada"' in told


@pytest.mark.parametrize("path", EVERYWHERE)
def test_without_the_cookie_nobody_gets_a_page(there: SiteDesk, path: str) -> None:
    other = SiteDesk(there.folder)
    other.sign_in()
    for cookie in ("", "ceus-site-8091=", "ceus-site-8091=wrong", other.cookie, there.cookie.replace("8091", "8092")):
        answer = there.bare(path, cookie=cookie)
        assert answer.status == 401
        assert "ceus-site console" in answer.text
        assert there.bare(path, "POST", cookie=cookie).status == 401


def test_every_page_is_there_and_asks_for_nothing_from_elsewhere(there: SiteDesk) -> None:
    for path in PAGES:
        answer = there.get(path)
        assert answer.status == 200, path
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert not re.search(r"<script|javascript:| on\w+=|<style| style=|src=|https?://", answer.text), path
        assert there.get(path, host="evil.example").status == 400
    assert [event["page"] for event in there.said] == list(PAGES)
    assert there.get("/nothing").status == there.get("/audit/999").status == there.get("/audit/0").status == 404


def test_on_a_narrow_screen_every_cell_says_its_columns_name(there: SiteDesk) -> None:
    for path in PAGES:
        text = there.get(path).text
        for table in re.findall(r"<table>.*?</table>", text, re.S):
            assert f'<div class="table stacked" tabindex="0">{table}' in text, "no column is hidden"
            heads = re.findall(r"<th[^>]*>([^<]*)</th>", table.partition("</thead>")[0])
            for row in re.findall(r"<tr><th scope=.row.*?</tr>", table, re.S):
                labels = re.findall(r"<td( data-label=\"([^\"]*)\")?", row)
                assert [label for _, label in labels] == heads[1:], path


def test_a_hostile_name_of_the_site_is_escaped(there: SiteDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "<script>alert('site')</script>"
    monkeypatch.setattr("made_site_console.load_site", lambda path: dataclasses.replace(load_site(path), name=hostile))
    desk = SiteDesk(there.folder)
    desk.sign_in()
    for path in PAGES:
        text = desk.get(path).text
        assert "<script" not in text, path
        assert "&lt;script&gt;" in text, path


def test_no_lesion_no_path_and_no_secret_is_on_any_page(there: SiteDesk) -> None:
    site = load_site(there.folder)
    keys = []
    for path in (site.work / "cache").glob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            facts = json.loads(file.metadata()["sample"])
            keys += [facts["key"], facts["patient"], path.stem]
    assert len(keys) == 6
    secrets = [site.secret_file.read_bytes().hex(), *(there.folder / "courier/node.key").read_text().splitlines()[1:-1]]
    secrets.append((there.folder / "courier/superexec.secret").read_bytes().hex())
    hidden = [*keys, *LESIONS, "0.avi", "gone.avi", "2021-05-06", "hospital-in-a-folder", str(there.folder.parent)]
    for path in (*PAGES, *(f"/audit/{number}" for number in range(1, 12))):
        text = there.get(path).text
        assert not [word for word in (*hidden, *secrets) if word in text], path
        assert there.token not in text
        assert there.cookie.partition("=")[2] not in text


def test_now_shows_standing_health_work_and_policy(there: SiteDesk) -> None:
    text = there.get("/").text
    assert "takes part" in text
    assert "reports no status" in text
    assert "train, round 3, disease/HM" in text
    assert "whether the worker is still at it" in text
    assert "none or stronger: the coordinator sees this hospital" in text
    assert "as site-01" in text
    assert "<span>liver</span>" in text


def test_pause_and_resume_are_buttons_with_an_entry_that_says_who(there: SiteDesk) -> None:
    records = there.folder / "records"
    assert (there.post("/pause").status, there.post("/pause").headers["location"]) == (303, "/")
    assert read_participation(records).paused
    assert "paused since" in there.get("/").text
    assert there.post("/resume").status == 303
    assert not read_participation(records).paused
    written = [(entry["kind"], entry["by"]) for entry in entries(records) if entry["kind"] in ("pause", "resume")]
    assert written == [("pause", "ada"), ("pause", "ada"), ("resume", "ada")]


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({}, {}, 403),
        ({"form": "wrong"}, {}, 403),
        ({"form": "é"}, {}, 403),
        (None, {"sec-fetch-site": "cross-site"}, 403),
        (None, {"sec-fetch-site": "same-site"}, 403),
        (None, {"host": "evil.example"}, 400),
        (None, {"cookie": ""}, 401),
        ({"form": "x" * 5000}, {}, 413),
    ],
)
def test_a_form_of_another_page_orders_nothing(
    there: SiteDesk, form: dict[str, str] | None, headers: dict[str, str], status: int
) -> None:
    before = (there.folder / "records" / LOG_FILE).read_bytes()
    for path in ACTIONS:
        assert there.post(path, form, **headers).status == status
    assert (there.folder / "records" / LOG_FILE).read_bytes() == before


def test_nothing_else_can_be_ordered(there: SiteDesk) -> None:
    before = {path: path.read_bytes() for path in there.folder.rglob("*") if path.is_file()}
    for path in PAGES:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert there.get(path, method).status == 405
        there.get(path, "HEAD")
    for path in ("/policy", "/reviewers", "/left"):
        assert there.post(path).status in (404, 405)
    for path in ACTIONS:
        assert there.get(path).status == there.get(path, "HEAD").status == 405
    assert before == {path: path.read_bytes() for path in there.folder.rglob("*") if path.is_file()}


def test_approval_shows_the_plan_in_words_and_what_changed(there: SiteDesk) -> None:
    text = there.get("/approval").text
    assert "Study liver waits for approval" in text
    assert "submodels: rounds 2 → 30" in text
    assert "submodels: training, 30 rounds" in text
    assert "Approved: liver" in text
    assert "action approve" in text
    assert run_app(app, ["reviewers", str(there.folder), "2"]) == 0
    try:
        assert "2 more must approve it" in there.get("/approval").text
        assert "Approved by too few" in there.get("/approval").text
    finally:
        run_app(app, ["reviewers", str(there.folder), "1"])


def test_a_couriers_folder_of_another_account_is_said_to_be_one(
    there: SiteDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.courier.kit.os.access", lambda path, how: False)
    text = there.get("/approval").text
    assert "another account" in text
    assert "action approve" in text
    assert "--part courier" in there.get("/").text


def test_the_audit_is_verified_and_an_answer_opens_to_its_tensors(there: SiteDesk) -> None:
    text = there.get("/audit").text
    assert "Unchanged." in text
    assert "&lt;b&gt;not&lt;/b&gt; approved here" in text
    number = next(entry["n"] for entry in entries(there.folder / "records") if entry["kind"] == "answer")
    opened = there.get(f"/audit/{number}").text
    assert re.search(r"float32\[2, 3\]</code></td><td data-label=\"bytes\" class=\"n\">24<", opened)
    assert "Sums over 9 lesions; privacy: none" in opened


def test_a_changed_audit_is_told_with_its_line(there: SiteDesk) -> None:
    log = there.folder / "records" / LOG_FILE
    before = log.read_bytes()
    try:
        log.write_bytes(before.replace(b'"round":2', b'"round":5', 1))
        for path in ("/audit", "/left"):
            assert re.search(r"Changed\..*audit.jsonl line \d+", there.get(path).text, re.S)
    finally:
        log.write_bytes(before)
    assert "Unchanged." in there.get("/audit").text


def test_what_left_is_summed_by_stage(there: SiteDesk) -> None:
    text = there.get("/left").text
    answers = [entry for entry in entries(there.folder / "records") if entry["kind"] == "answer"]
    row = re.search(r"<tr><th scope=\"row\">stage</th>(.*?)</tr>", text, re.S)
    assert row is not None
    assert re.findall(r"<td [^>]*class=\"n\">([^<]*)</td>", row[1]) == [
        "2",
        "",
        f"{sum(e['bytes'] for e in answers)} B",
        "9",
    ]


def test_the_index_is_counted_by_reason(there: SiteDesk) -> None:
    counts = read_index_counts(load_site(there.folder))
    assert (counts.lesions, dict(counts.skipped), counts.look, counts.stale) == (2, {"missing-clip": 1}, 0, "")
    text = there.get("/index").text
    assert "missing-clip" in text
    assert "A clip is not at the path in the table." in text
    table = there.folder / "lesions.csv"
    before = table.read_bytes()
    try:
        table.write_bytes(before + b"\n")
        assert "made with another table" in there.get("/index").text
    finally:
        table.write_bytes(before)


def test_a_site_that_has_not_begun_is_shown_too(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n", encoding="utf-8")
    made = SiteDesk(tmp_path)
    made.sign_in()
    for path in ("/", "/approval", "/audit", "/left", "/index"):
        assert made.get(path).status == 200, path
    assert "policy.yaml has a fault" in made.get("/").text
    assert "has not joined" in made.get("/approval").text
    assert "found no index" in made.get("/index").text
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "standing.json").write_text("{")
    assert "answers nothing" in made.get("/").text
    assert made.post("/resume").status == 409


def test_only_the_folders_own_account_starts_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("client.console.app.os.geteuid", lambda: folder.stat().st_uid + 1)
    assert run_app(app, ["console", str(folder), "--port", "0"]) == 1
    assert "account that owns the site's folder" in " ".join(capsys.readouterr().err.split())


def test_the_command_prints_the_url_and_serves_on_loopback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = []
    monkeypatch.setattr("client.console.app.serve", lambda app, opened: places.append(opened[0].getsockname()))
    assert run_app(app, ["console", str(folder), "--port", "0"]) == 0
    ((host, port),) = places
    assert host == "127.0.0.1"
    assert re.search(rf"open http://127\.0\.0\.1:{port}/\?token=[\w-]{{40,}}\n", capsys.readouterr().out)


def test_no_page_loads_torch(folder: Path) -> None:
    command = [sys.executable, "-c", LOADED, str(folder), str(Path(__file__).parents[2] / "support"), *PAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=dict(os.environ))
    assert done.stdout.splitlines()[-1] == f"{[200] * len(PAGES)} []"
