"""Signing in by OpenID Connect in real HTTP: a real provider in a process of its own, the console behind uvicorn.

Whatever is spoiled on the way is refused with a sentence, and nobody is let in.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from made_console import Desk
from made_federation import NOW, Lab, lab
from served_app import served
from spoiled_provider import Claims, SpoiledProvider, make_key, started_provider

import server.console.sign_in.users
from ceus_models.runtime.errors import FaultList
from server.console.sign_in.console_file import load_console_settings
from server.console.sign_in.sessions import RECHECK_S
from server.console.sign_in.users import add_person

SECRET = "a-secret-of-the-client"
SETTINGS = """schema: 1
url: {url}
openid:
  issuer: {issuer}
  client_id: fedceus
  secret_file: secrets/openid.secret
  roles: {{coordinator: [fed-admins], researcher: [fed-readers, students]}}
"""


BROWSERS = ExitStack()


@pytest.fixture(autouse=True)
def _close_browsers() -> Iterator[None]:
    with BROWSERS:
        yield


@pytest.fixture(scope="module")
def real() -> Iterator[SpoiledProvider]:
    with started_provider() as provider:
        yield provider


@pytest.fixture
def provider(real: SpoiledProvider) -> SpoiledProvider:
    real.change, real.published, real.lies = None, True, {}
    real.seen.clear()
    real.set_user("s-ada", preferred_username="ada", groups=["staff", "fed-admins"])
    real.set_user("s-bob", preferred_username="bob", groups=["students"])
    real.set_user("s-eve", preferred_username="eve", groups=["staff"])
    return real


@dataclass
class Browser:
    """Cookies, and no redirect that is not looked at."""

    url: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False))

    def __post_init__(self) -> None:
        BROWSERS.callback(self.client.close)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(self.url + path)

    def begin(self, to: str = "/") -> str:
        """The provider's address to which the console sends the browser."""
        answer = self.get(f"/sign-in/openid?to={to}")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def consent(self, address: str, subject: str) -> str:
        """The console's address to which the provider sends it back."""
        answer = self.client.post(address, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def sign_in(self, subject: str, to: str = "/") -> httpx.Response:
        return self.client.get(self.consent(self.begin(to), subject))


@dataclass
class Console:
    desk: Desk
    browser: Browser

    def refused(self, subject: str = "s-ada") -> str:
        return self.sentence(self.browser.sign_in(subject))

    def sentence(self, answer: httpx.Response) -> str:
        assert answer.status_code == 401
        assert self.browser.get("/").status_code == 303
        found = re.search(r'role="alert"><p>(.*?)</p>', answer.text, re.S)
        assert found is not None
        return found[1]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    made = lab(tmp_path / "co")
    secret = made.home.folder / "secrets" / "openid.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return made


@pytest.fixture
def console(made: Lab, provider: SpoiledProvider) -> Iterator[Console]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        made.home.console_settings.write_text(SETTINGS.format(url=url, issuer=provider.issuer))
        desk = Desk(made, {"ada": add_person(made.home, "ada", "coordinator", NOW)})
        with served(desk.app, opened) as url:
            yield Console(desk, Browser(url))


def test_who_is_in_a_group_gets_its_role(console: Console, provider: SpoiledProvider) -> None:
    answer = console.browser.sign_in("s-ada", "/sites")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sites")
    assert "ada, coordinator" in console.browser.get("/sites").text
    reader = Browser(console.browser.url)
    assert reader.sign_in("s-bob").status_code == 303
    assert "bob, researcher" in reader.get("/").text
    assert reader.get("/sites").status_code == 403
    assert [event["by"] for event in console.desk.said if event["event"] == "signed in"] == ["openid", "openid"]
    assert {asked["grant_type"] for asked in provider.seen} == {"authorization_code"}


def test_the_page_for_signing_in_offers_both_ways(console: Console, provider: SpoiledProvider) -> None:
    text = console.browser.get("/sign-in?to=/rounds").text
    assert 'href="/sign-in/openid?to=%2Frounds"' in text
    assert provider.issuer in text
    asked = parse_qs(urlsplit(console.browser.begin()).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    assert asked["scope"] == ["openid profile"]
    fields = {"name": "ada", "token": console.desk.tokens["ada"], "code": "", "to": "/"}
    assert console.browser.client.post(console.browser.url + "/sign-in", data=fields).status_code == 303


def test_nothing_of_a_sign_in_is_in_the_log(console: Console, provider: SpoiledProvider) -> None:
    back = console.browser.consent(console.browser.begin(), "s-ada")
    console.browser.client.get(back)
    said = json.dumps(console.desk.said)
    kept = {SECRET, *parse_qs(urlsplit(back).query)["code"], *parse_qs(urlsplit(back).query)["state"]}
    kept |= {provider.seen[-1]["code_verifier"], *console.browser.client.cookies.values()}
    assert not [one for one in kept if one in said]


def test_who_is_in_no_group_is_not_let_in(console: Console) -> None:
    assert "the provider knows eve, but none of its groups" in console.refused("s-eve")
    assert "the provider knows nobody, but none of its groups" in console.refused("nobody")


def spoiled(**changes: object) -> object:
    def change(claims: Claims) -> Claims:
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    return change


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["another", "third"]}, "aud"),
        ({"aud": ["fedceus", "another"], "azp": "another"}, "azp"),
        ({"exp": time.time() - 120}, "expired"),
        ({"exp": None}, "exp"),
        ({"iat": time.time() + 3600}, "issued in the future"),
        ({"iat": None}, "iat"),
        ({"nonce": "of-an-earlier-sign-in"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    console: Console, provider: SpoiledProvider, changes: Claims, named: str
) -> None:
    provider.change = spoiled(**changes)  # type: ignore[assignment]
    said = console.refused()
    assert "ID token does not hold here" in said
    assert named in said


def test_a_token_that_the_spoiling_proxy_only_signs_anew_is_taken(console: Console, provider: SpoiledProvider) -> None:
    """So that the refusals above are for what was changed, not for the key."""
    provider.change = lambda claims: claims
    assert console.browser.sign_in("s-ada").status_code == 303


def test_a_forged_signature_is_refused(console: Console, provider: SpoiledProvider) -> None:
    provider.change, provider.published = (lambda claims: claims), False
    assert "not signed by the provider" in console.refused()
    provider.published = True
    assert Browser(console.browser.url).sign_in("s-ada").status_code == 303
    provider.key = make_key(provider.key.kid or "")  # of the same name
    assert "not signed by the provider" in console.refused()


def test_a_token_without_a_signature_or_with_the_public_key_as_secret_is_refused(
    console: Console, provider: SpoiledProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsigned(header: Claims, claims: Claims, _: object) -> str:
        parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
        return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])

    provider.change = lambda claims: claims
    monkeypatch.setattr("spoiled_provider.jwt.encode", unsigned)
    assert "not signed by the provider" in console.refused()


def test_new_keys_of_the_provider_are_read_when_they_are_needed(console: Console, provider: SpoiledProvider) -> None:
    provider.change = lambda claims: claims
    assert console.browser.sign_in("s-ada").status_code == 303
    provider.key = make_key("next-year")
    assert Browser(console.browser.url).sign_in("s-ada").status_code == 303


def test_a_state_is_taken_once_and_in_its_own_browser(console: Console) -> None:
    browser = console.browser
    back = browser.consent(browser.begin(), "s-ada")
    stolen = Browser(browser.url)
    assert "begun in another browser" in Console(console.desk, stolen).sentence(stolen.client.get(back))
    assert "was ended already" in console.sentence(browser.client.get(back))  # the thief used it up
    back = browser.consent(browser.begin(), "s-ada")
    assert browser.client.get(back).status_code == 303
    browser.client.cookies.clear()
    assert "was ended already" in console.sentence(browser.client.get(back))
    assert "was ended already" in console.sentence(browser.get("/sign-in/openid/return?code=x&state=guessed"))


def test_a_code_of_an_earlier_sign_in_is_refused_by_the_provider(console: Console, provider: SpoiledProvider) -> None:
    old = parse_qs(urlsplit(console.browser.consent(console.browser.begin(), "s-ada")).query)["code"][0]
    state = parse_qs(urlsplit(console.browser.begin()).query)["state"][0]
    answer = console.browser.get(f"/sign-in/openid/return?code={old}&state={state}")
    assert "refused the code (invalid_grant)" in console.sentence(answer)
    assert provider.seen[-1]["code"] == old


def test_a_sign_in_is_too_old_after_ten_minutes(console: Console) -> None:
    moment = time.monotonic()
    assert console.desk.gate.openid is not None
    back = console.browser.consent(console.browser.begin(), "s-ada")
    console.desk.gate.openid.clock = lambda: moment + 660
    assert "older than 10 minutes" in console.sentence(console.browser.client.get(back))


def test_a_changed_role_and_a_removed_person_hold_within_a_quarter_of_an_hour(
    console: Console, provider: SpoiledProvider
) -> None:
    browser = console.browser
    browser.sign_in("s-ada", "/sites")
    assert browser.get("/sites").status_code == 200
    provider.set_user("s-ada", preferred_username="ada", groups=["fed-readers"])
    assert browser.get("/sites").status_code == 200
    console.desk.now = RECHECK_S + 1
    sent = browser.get("/sites")
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in/openid?to=%2Fsites")
    assert browser.client.post(browser.url + "/sign-out", data={"form": "x"}).status_code == 401
    browser.client.get(browser.consent(browser.get("/sign-in/openid?to=/sites").headers["location"], "s-ada"))
    assert browser.get("/sites").status_code == 403
    assert "ada, researcher" in browser.get("/").text
    provider.set_user("s-ada", preferred_username="ada", groups=[])
    console.desk.now += RECHECK_S + 1
    assert "none of its groups" in console.refused()


def test_asking_the_provider_again_makes_no_session_longer(console: Console) -> None:
    browser, now = console.browser, 0.0
    browser.sign_in("s-ada")
    while now < 8 * 3600:
        now += 3 * RECHECK_S
        console.desk.now = now
        if browser.get("/").status_code == 303:
            before = now
            browser.sign_in("s-ada")
        assert browser.get("/").status_code == 200
    begun = [one.begun for one in console.desk.gate.sessions._table.values()]
    assert begun == [before]  # the last signing in came after eight hours, and is a session of its own


def test_groups_may_come_with_the_user_info(console: Console, provider: SpoiledProvider) -> None:
    provider.change = spoiled(groups=None, preferred_username=None)  # type: ignore[assignment]
    assert console.browser.sign_in("s-ada").status_code == 303
    assert "ada, coordinator" in console.browser.get("/").text


def test_a_provider_that_lets_nobody_in_or_is_another_is_told_plainly(
    console: Console, provider: SpoiledProvider
) -> None:
    address = console.browser.begin()
    back = console.browser.client.post(address, data={"action": "deny"}).headers["location"]
    back += f"&state={parse_qs(urlsplit(address).query)['state'][0]}"  # which this provider leaves out
    assert "let nobody in (access_denied)" in console.sentence(console.browser.client.get(back))
    back = console.browser.consent(console.browser.begin(), "s-ada")
    assert "another provider" in console.sentence(console.browser.client.get(back + "&iss=https://evil.example"))


@pytest.mark.parametrize("lie", ["issuer", "token_endpoint"])
def test_a_provider_that_is_not_the_one_of_the_file_is_not_believed(
    console: Console, provider: SpoiledProvider, lie: str
) -> None:
    provider.lies = {lie: "http://evil.example"}
    answer = console.browser.get("/sign-in/openid")
    said = console.sentence(answer)
    assert "calls itself http://evil.example" in said if lie == "issuer" else "faulty" in said


def test_tokens_go_on_working_where_the_provider_is_out_of_reach(made: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    issuer = f"http://127.0.0.1:{port}"
    made.home.console_settings.write_text(SETTINGS.format(url="http://localhost:8090", issuer=issuer))
    desk = Desk(made, {"ada": add_person(made.home, "ada", "coordinator", NOW)})
    answer = desk.bare("/sign-in/openid")
    assert answer.status == 401
    assert f"the provider {issuer} does not answer" in answer.text
    assert desk.sign_in("ada", desk.tokens["ada"]).status == 303


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: 1\nurl: http://console.example.org", "https"),
        ("schema: 1\nsecond_factor: [monitor]", "second_factor"),
        ("schema: 1\nopenid: {issuer: https://a.example, client_id: x, roles: {coordinator: [a]}}", "openid needs url"),
        ("schema: 1\nurl: https://c.example\nopenid: {issuer: 'http://a.example', client_id: x, roles: {}}", "issuer"),
        ("schema: 2", "schema"),
        ("schema: 1\nnew: 1", "unknown key"),
    ],
)
def test_faults_of_the_file_are_told_with_their_line(made: Lab, text: str, said: str) -> None:
    made.home.console_settings.write_text(text)
    with pytest.raises(FaultList, match=said):
        load_console_settings(made.home)


def test_a_client_s_secret_that_others_may_read_is_refused(console: Console, made: Lab) -> None:
    (made.home.folder / "secrets" / "openid.secret").chmod(0o644)
    answer = console.browser.get("/sign-in/openid")
    assert answer.status_code == 503
    assert "others may read" in console.desk.said[-1]["said"]
    (made.home.folder / "secrets" / "openid.secret").unlink()
    assert console.browser.get("/sign-in/openid").status_code == 503
    assert "cannot be read" in console.desk.said[-1]["said"]
