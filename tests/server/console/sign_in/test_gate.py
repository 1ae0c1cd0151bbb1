"""Sessions: who gets one, what its cookie is like, when it ends, and that forms of other pages do nothing."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from made_console import Desk, empty_desk
from made_federation import NOW

import server.console.sign_in.users
from server.console.sign_in.users import add_person, remove_person


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    return empty_desk(tmp_path)


def test_who_signs_in_comes_to_the_page_that_was_asked_for(there: Desk) -> None:
    asked = there.bare("/rounds?page=2")
    assert asked.headers["location"] == "/sign-in?to=%2Frounds%3Fpage%3D2"
    assert 'value="/rounds?page=2"' in there.bare(asked.headers["location"]).text
    answer = there.sign_in("coordinator", there.tokens["coordinator"], to="/rounds?page=2")
    assert (answer.status, answer.headers["location"]) == (303, "/rounds?page=2")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert there.get("/").status == 200
    assert there.said[0] == {"event": "signed in", "who": "coordinator", "role": "coordinator", "by": "token"}


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil", "/a\r\nx: y"])
def test_nobody_is_sent_elsewhere(there: Desk, to: str) -> None:
    assert there.sign_in("coordinator", there.tokens["coordinator"], to=to).headers["location"] == "/"


def test_the_cookie_is_for_tls_alone_where_browsers_come_by_tls(there: Desk) -> None:
    there.made.home.console_settings.write_text("schema: 1\nurl: https://console.example.org\n")
    other = Desk(there.made, there.tokens)
    cookie = other.sign_in("coordinator", there.tokens["coordinator"]).headers["set-cookie"]
    assert cookie.startswith("__Host-ceus-session-8090=")
    assert "Secure" in cookie
    assert other.get("/", host="console.example.org").status == 200


def test_a_machine_s_token_opens_no_session(there: Desk) -> None:
    assert there.sign_in("monitor", there.tokens["monitor"]).status == 401
    assert there.get("/metrics", "monitor").status == 200
    document = there.get("/status.json", "monitor").json()
    assert set(document) == {"federation", "up", "study", "sites", "run"}


def test_a_session_ends_after_its_longest_time_and_when_unused(there: Desk) -> None:
    for hours in range(8):
        there.now = hours * 3600.0
        assert there.get("/").status == 200
    there.now = 8 * 3600.0 + 1
    assert there.get("/").status == 303
    del there.cookies["coordinator"]
    assert there.get("/").status == 200
    there.now += 3601
    assert there.get("/").status == 303


def test_a_page_that_loads_itself_anew_keeps_no_session_alive(there: Desk) -> None:
    there.get("/")
    for _ in range(7):
        there.now += 599
        answer = there.get("/", **{"sec-fetch-mode": "navigate"})
    assert answer.status == 303
    del there.cookies["coordinator"]
    there.get("/")
    for _ in range(7):
        there.now += 599
        answer = there.get("/", **{"sec-fetch-mode": "navigate", "sec-fetch-user": "?1"})
    assert answer.status == 200


def test_who_is_removed_or_gets_another_token_or_role_is_out_at_once(there: Desk) -> None:
    assert there.get("/status.json", "researcher").status == 200
    remove_person(there.made.home, "researcher")
    assert there.get("/status.json", "researcher").status == 401
    add_person(there.made.home, "researcher", "coordinator", NOW)
    assert there.get("/status.json", "researcher").status == 401
    remove_person(there.made.home, "monitor")
    assert there.get("/metrics", "monitor").status == 401


def test_signing_out_ends_the_session_and_only_a_page_of_ours_does_it(there: Desk) -> None:
    there.get("/")
    cookie = there.cookies["coordinator"]
    assert there.send("/sign-out", {"form": "guessed"}, cookie=cookie).status == 403
    assert there.send("/sign-out", {}, cookie=cookie).status == 403
    assert there.get("/").status == 200
    answer = there.press("/sign-out")
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert there.bare("/", cookie=cookie).status == 303


def test_a_page_elsewhere_signs_nobody_in(there: Desk) -> None:
    answer = there.sign_in("coordinator", there.tokens["coordinator"], **{"sec-fetch-site": "cross-site"})
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_each_signing_in_has_a_cookie_and_a_form_word_of_its_own(there: Desk) -> None:
    found = set()
    for _ in range(3):
        there.sign_in("coordinator", there.tokens["coordinator"])
        found.add(there.cookies["coordinator"])
    assert len(found) == 3


def test_a_form_that_is_too_long_is_not_read(there: Desk) -> None:
    answer = there.send("/sign-in", {"name": "x" * 5000, "token": "x"})
    assert answer.status == 503
    assert there.said[-1]["event"] == "trouble"


def test_a_browser_that_remembers_a_token_of_before_can_sign_in(there: Desk) -> None:
    """Names and tokens were asked for by HTTP Basic once, and a browser sends them until it is closed."""
    code = base64.b64encode(f"coordinator:{there.tokens['coordinator']}".encode()).decode()
    remembered = {"authorization": f"Basic {code}"}
    assert there.bare("/", **remembered).headers["location"] == "/sign-in?to=%2F"
    assert there.bare("/sign-in", **remembered).status == 200
    assert there.sign_in("coordinator", there.tokens["coordinator"], **remembered).status == 303
    assert there.get("/", **remembered).status == 200
