"""The pages of outlining: who gets them, what their scripts may do, what is ordered and what is logged."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asked_app import Answer
from made_outlining import SQUARE
from made_site_console import SiteDesk
from small_hospital import FRAMES, SmallHospital

from ceus_models.web.guard import HEADERS
from client.console.language_switch import COOKIE
from client.console.outlining.drawing import Drawing
from client.console.outlining_pages import FILES, SCRIPTS

POINTS = SQUARE.tolist()
SAID_BY_SCRIPTS = re.compile(r'translate\((?:[^",\n]*(?:"bmode")? \? )?"([^"]+)"(?: : "([^"]+)")?')
SENTENCE = re.compile(r">[^<]*(?:[A-Za-z]{2,} ){3,}[a-z]{2,}")
HOSTILE = "<script>alert(1)</script>"
READ = ("/outlining", "/outlining/2", "/outlining/2/screen", *(f"/outlining/{name}" for name in FILES))
ASKED = ("/outlining/2/state", "/outlining/2/trace", "/outlining/2/frames/0", "/outlining/2/curve?x=3&y=4&radius=5")
ORDERED = tuple(f"/outlining/2/{name}" for name in ("trace", "save", "use", "confirm", "reopen", "template"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SiteDesk]:
    made = SmallHospital(tmp_path, 2)
    made.rows[0] |= {"outline": "", "outline_frame": ""}
    made.rows[1]["lesion_id"] = HOSTILE
    drawings: list[Drawing] = []
    monkeypatch.setattr("client.console.app.Drawing", lambda site: drawings.append(Drawing(site)) or drawings[-1])
    desk = SiteDesk(made.write())
    desk.sign_in()
    desk.said.clear()
    yield desk
    for drawing in drawings:
        drawing.worklist.wait()
        drawing.close()


def sign(desk: SiteDesk, name: str = "Dr. Chen") -> Answer:
    return desk.post("/outlining/reader", {"form": desk.session.form, "reader": name})


def order(desk: SiteDesk, path: str, document: Any, **headers: str) -> Answer:
    """As the page's script does it."""
    named = {"x-form": desk.session.form, "sec-fetch-site": "same-origin", **headers}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return desk.send(path, body, **named)


def wait_for(desk: SiteDesk, path: str, state: str) -> Any:
    while (answer := desk.get(path).json())["state"] == state:
        time.sleep(0.05)
    return answer


def test_nobody_else_gets_anything(desk: SiteDesk) -> None:
    sign(desk)
    for path in (*READ, *ASKED, "/outlining/2/screen-state", "/outlining/2/screen.png"):
        assert desk.bare(path).status == 401, path
        assert desk.get(path, host="evil.example").status == 400, path
    for path in (*ORDERED, "/outlining/reader"):
        assert desk.bare(path, "POST").status == 401, path


def test_only_scripts_of_ours_run_and_speak_to_this_console_alone(desk: SiteDesk) -> None:
    sign(desk)
    for path in READ[:3]:
        answer = desk.get(path)
        assert answer.status == 200, path
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert policy["default-src"] == "'none'"
        assert policy["img-src"] == "data:"
        others = {name: value for name, value in HEADERS.items() if name != "content-security-policy"}
        assert {name: answer.headers[name] for name in others} == others
        assert not re.search(r"javascript:| on\w+=|<style| style=|https?://", answer.text), path
        scripts = re.findall(r"<script[^>]*>([^<]*)</script>", answer.text)
        assert all(not inline for inline in scripts), path
    for path in ("/", "/audit", "/outlining/outline.js"):
        assert desk.get(path).headers["content-security-policy"] == HEADERS["content-security-policy"], path


def test_what_scripts_load_is_served_and_loads_nothing_else(desk: SiteDesk) -> None:
    for name in FILES:
        answer = desk.get(f"/outlining/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
        assert not re.search(r"https?:|//cdn|eval\(|new Function|innerHTML|document\.write", answer.text), name
        assert set(re.findall(r'from "\./([\w.]+)"', answer.text)) <= set(FILES)
    for name in ("app.py", "../outlining.py", "%2e%2e/outlining.py", "worklist.html"):
        assert desk.get(f"/outlining/{name}").status == 404


def test_the_name_is_asked_for_once_and_ids_are_escaped(desk: SiteDesk) -> None:
    assert (desk.get("/outlining/2").status, desk.get("/outlining/2").headers["location"]) == (303, "/outlining")
    assert 'href="/outlining/2"' not in desk.get("/outlining").text
    assert sign(desk, " ").status == 409
    assert (sign(desk).status, sign(desk).headers["location"]) == (303, "/outlining")
    for path in ("/outlining", "/outlining/3"):
        text = desk.get(path).text
        assert HOSTILE not in text
        assert "&lt;script&gt;alert(1)" in text
    assert 'data-reader="Dr. Chen"' in desk.get("/outlining/3").text
    for path in ("/outlining/9", "/outlining/9/screen"):
        assert desk.get(path).status == 409
        assert "row 9" in desk.get(path).text


def test_on_a_narrow_screen_every_cell_says_its_columns_name(desk: SiteDesk) -> None:
    text = desk.get("/outlining").text
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", re.findall(r"<thead>.*?</thead>", text, re.S)[0])
    for row in re.findall(r"<tr><th scope=.row.*?</tr>", text, re.S):
        assert re.findall(r'<td data-label="([^"]*)"', row) == heads[1:]


def test_a_lesion_is_read_drawn_and_saved(desk: SiteDesk) -> None:
    sign(desk)
    assert "Without outline" in desk.get("/outlining/2").text
    state = wait_for(desk, "/outlining/2/state", "reading")
    assert (state["state"], len(state["seconds"]), state["rows"], state["bmode"]) == ("ready", FRAMES, 80, True)
    frame = desk.get("/outlining/2/frames/5")
    assert (frame.status, frame.headers["content-type"]) == (200, "image/jpeg")
    assert frame.headers["cache-control"] == "no-store", "no browser keeps a patient's picture"
    assert desk.get(f"/outlining/2/frames/{FRAMES}").status == 404
    assert len(desk.get("/outlining/2/curve?x=35&y=39&radius=5").json()["values"]) == FRAMES
    for query in ("", "?x=1&y=2", "?x=nan&y=2&radius=3", "?x=1&y=inf&radius=3", "?x=a&y=2&radius=3"):
        assert desk.get(f"/outlining/2/curve{query}").status == 400, query
    assert order(desk, "/outlining/2/trace", {"polygon": POINTS, "frame": 3}).status == 200
    assert len(wait_for(desk, "/outlining/2/trace", "working")["chosen"]) == 100
    whose = {"lesion": "L0", "reader": "Dr. Chen"}
    for wrong in ({}, {"lesion": "L1"}, {"reader": "Dr. Wang"}):
        other = {**whose, **wrong} if wrong else {}
        for path, more in (("save", {"polygon": POINTS, "frame": 3}), ("use", {"name": "x"}), ("confirm", {})):
            assert order(desk, f"/outlining/2/{path}", {**other, **more}).status == 409, (path, wrong)
    assert not list((desk.folder / "clips").glob("*.json")), "a row that came in since moves the others"
    answer = order(desk, "/outlining/2/save", {**whose, "polygon": POINTS, "frame": 3})
    assert [one["reader"] for one in answer.json()["outlines"]] == ["Dr. Chen"]
    assert len(list((desk.folder / "clips").glob("0.avi.L0.*.json"))) == 1
    assert 'id="done"' in desk.get("/outlining").text


def test_a_fault_of_a_clip_is_told_on_its_page(desk: SiteDesk) -> None:
    sign(desk)
    (desk.folder / "clips/0.avi").write_bytes(b"RIFF" + bytes(500))
    answer = wait_for(desk, "/outlining/2/state", "reading")
    assert answer["state"] == "failed"
    assert "export the clip again" in answer["message"]
    assert wait_for(desk, "/outlining/3/state", "reading")["state"] == "ready", "the next lesion opens"


def test_another_page_orders_nothing(desk: SiteDesk) -> None:
    sign(desk)
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    for headers, status in (
        ({"x-form": ""}, 403),
        ({"x-form": "wrong"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"cookie": ""}, 401),
        ({"host": "evil.example"}, 400),
    ):
        for path in ORDERED:
            assert order(desk, path, {"polygon": POINTS, "frame": 3}, **headers).status == status, (path, headers)
    assert desk.post("/outlining/reader", {"form": "wrong", "reader": "eve"}).status == 403
    assert before == {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}


def test_what_no_page_sends_is_refused_in_words(desk: SiteDesk) -> None:
    sign(desk)
    wait_for(desk, "/outlining/2/state", "reading")
    many = (b"[" * 90_000, b" " * 300_000)
    for body in (b"", b"[1]", b"{", b"\xff", b'{"lesion": "L0", "reader": "Dr. Chen", "polygon": [[1e999, 2]]}', *many):
        for path in ("/outlining/2/save", "/outlining/2/trace"):
            answer = order(desk, path, body)
            assert answer.status == 409, (path, body[:20])
            assert answer.json()["message"]


def test_panes_are_written_into_the_sites_file(desk: SiteDesk) -> None:
    sign(desk)
    state = desk.get("/outlining/2/screen-state").json()
    assert (state["origin"], state["contrast"]) == ("template", [0, 16, 80, 96])
    assert desk.get("/outlining/2/screen.png").headers["content-type"] == "image/png"
    given = {"manufacturer": "*", "rows": 96, "columns": 160, "contrast": [0, 20, 70, 90], "bmode": [80, 20, 150, 90]}
    answer = order(desk, "/outlining/2/template", {**given, "tint": "gold", "dynamic_range_db": 56})
    assert answer.status == 200
    assert answer.json()["entry"] in (desk.folder / "site.yaml").read_text()
    state = wait_for(desk, "/outlining/2/state", "reading")
    assert (state["rows"], state["columns"]) == (70, 70), "the clips are read anew"


def test_the_log_has_a_line_a_page_and_none_a_frame(desk: SiteDesk) -> None:
    sign(desk)
    desk.get("/outlining/2")
    wait_for(desk, "/outlining/2/state", "reading")
    for number in range(FRAMES):
        desk.get(f"/outlining/2/frames/{number}")
    desk.get("/outlining/2/frames/999")
    assert [(event["page"], event["status"]) for event in desk.said] == [
        ("/outlining/reader", 303),
        ("/outlining/2", 200),
        ("/outlining/2/frames/999", 404),
    ]
    told = json.dumps(desk.said)
    assert "Chen" not in told
    assert "L0" not in told


def test_pages_and_answers_are_in_the_readers_language(desk: SiteDesk) -> None:
    sign(desk)
    wait_for(desk, "/outlining/2/state", "reading")
    desk.cookie += f"; {COOKIE}=zh"
    for path in READ[:3]:
        text = re.sub(r"<(style|code)\b.*?</\1>", "", desk.get(path).text, flags=re.DOTALL)
        assert '<html lang="zh-CN"' in text, path
        assert SENTENCE.findall(text) == [], path
    assert order(desk, "/outlining/2/save", {}).json()["message"].startswith("该行应为本页面的病灶")
    order(desk, "/outlining/2/trace", {"polygon": POINTS, "frame": 3})
    traced = wait_for(desk, "/outlining/2/trace", "working")
    said = [traced["source"], *traced["notes"], *traced["doubts"]]
    assert said
    assert not [one for one in said if re.search(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", one)], said


def test_what_scripts_say_is_on_their_pages_to_be_translated(desk: SiteDesk) -> None:
    sign(desk)
    source = "".join(desk.get(f"/outlining/{name}").text for name in SCRIPTS)
    pages = "".join(desk.get(path).text for path in READ[1:3])
    held = {html.unescape(text) for text in re.findall(r'<li data-text="([^"]*)">', pages)}
    said = {text for pair in SAID_BY_SCRIPTS.findall(source) for text in pair if text}
    assert len(said) > 40
    assert said - held == set()
    assert {text for text in held if f'"{text}"' not in source} == set()
