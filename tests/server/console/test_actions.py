"""A coordinator's buttons: the same functions as the commands, for that role and its own pages alone, written down."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from coordinator_commands import told
from made_console import Desk, empty_desk
from made_federation import NOW

import server.console.sign_in.users
from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.runtime.account import read_account
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.file_locks import hold_lock
from client.courier.folder import CourierFolder, courier_of
from client.courier.keys import request_enrolment
from client.courier.kit import install_kit
from server.federation.certificate_authority import open_authority
from server.federation.founding import set_up_federation
from server.federation.site_register import read_register
from server.run_folder.action_log import read_actions
from server.run_folder.orders import order_run, read_order
from server.run_folder.paths import Home

VERSIONS = read_versions(PROTOCOL)
BOUNDARY = "----a-boundary"
FORMS = (
    "/run/start",
    "/run/stop",
    "/enrol",
    "/enrol/confirm",
    "/sites/site-01/renew",
    "/sites/site-01/revoke",
    "/roster",
)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    return empty_desk(tmp_path)


@pytest.fixture
def up(there: Desk) -> Iterator[None]:
    """As if the daemon ran."""
    there.made.home.up_lock.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(there.made.home.up_lock, RuntimeError()):  # type: ignore[arg-type]
        yield


def site_of(there: Desk, folder: Path, name: str = "site-01") -> CourierFolder:
    """A site that has made its request with the versions that are installed."""
    courier = courier_of(folder)
    request_enrolment(courier, name, there.made.identity, False, VERSIONS, NOW)
    return courier


def upload(there: Desk, content: bytes) -> str:
    """The page that shows a request's fingerprint."""
    word = form_word(there)
    parts = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="form"\r\n\r\n{word}\r\n'.encode(),
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="document"; filename="request.json"\r\n'
        "content-type: application/json\r\n\r\n".encode()
        + content
        + b"\r\n",
        f"--{BOUNDARY}--\r\n".encode(),
    ]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    cookie = there.cookies["coordinator"]
    return there.send_bytes("/enrol", b"".join(parts), cookie=cookie, **{"content-type": kind}).text


def form_word(there: Desk) -> str:
    found = re.search(r'name="form" value="([^"]+)"', there.get("/actions").text)
    assert found is not None
    return found[1]


def enrol(there: Desk, request: Path, **fields: str) -> str:
    document = base64.b64encode(request.read_bytes()).decode()
    return there.press("/enrol/confirm", document=document, **fields).text


@pytest.mark.parametrize("path", FORMS)
def test_only_a_coordinator_on_a_page_of_ours_can_do_it(there: Desk, path: str) -> None:
    there.get("/")
    there.get("/", "researcher")
    before = {one: one.read_bytes() for one in there.made.home.folder.rglob("*") if one.is_file()}
    word, cookie = form_word(there), there.cookies["coordinator"]
    fields = {"form": word, "reason": "x", "same": "yes", "document": "e30="}
    assert there.send(path, fields).status == 401
    assert there.send(path, fields, cookie=there.cookies["researcher"]).status == 403
    assert there.ask(path, f"monitor:{there.tokens['monitor']}", "POST").status == 403
    assert there.send(path, {**fields, "form": "guessed"}, cookie=cookie).status == 403
    assert there.send(path, {**fields, "form": ""}, cookie=cookie).status == 403
    assert there.send(path, fields, cookie=cookie, **{"sec-fetch-site": "cross-site"}).status == 403
    assert there.send(path, fields, cookie=cookie, **{"sec-fetch-site": "same-site"}).status == 403
    assert there.get(path, "coordinator").status in (200, 404, 405)
    assert before == {one: one.read_bytes() for one in there.made.home.folder.rglob("*") if one.is_file()}


def test_the_word_of_another_session_does_nothing(there: Desk) -> None:
    word = form_word(there)
    there.sign_in("coordinator", there.tokens["coordinator"])
    assert there.send("/roster", {"form": word}, cookie=there.cookies["coordinator"]).status == 403


def test_a_site_is_enrolled_when_its_fingerprint_was_compared(there: Desk, tmp_path: Path) -> None:
    courier, home = site_of(there, tmp_path / "site"), there.made.home
    page = upload(there, courier.request.read_bytes())
    shown = re.search(r'class="large">([0-9a-f-]{39})<', page)
    assert shown is not None
    assert read_register(home).entries == ()
    assert "nobody was enrolled" in enrol(there, courier.request)
    assert read_register(home).entries == ()
    page = enrol(there, courier.request, same="yes")
    assert '<a href="/kits/site-01">' in page
    assert "the SuperLink is not running" in page
    (entry,) = read_register(home).entries
    assert entry.fingerprint == shown[1]
    answer = there.get("/kits/site-01")
    assert answer.headers["content-disposition"] == 'attachment; filename="site-01.kit.json"'
    kit = tmp_path / "site-01.kit.json"
    kit.write_bytes(answer.body)
    assert install_kit(courier, kit, VERSIONS, utc_now()).site == "site-01"
    line = read_actions(home)[-1]
    assert (line.who, line.way, line.action, line.about) == ("coordinator", "console, token", "enrol", "site-01")
    assert entry.fingerprint in line.said
    assert "was answered on" in enrol(there, courier.request, same="yes")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b'{"fedceus": "kit"}', b"[" * 60000])
def test_a_file_that_is_no_request_is_refused_in_words(there: Desk, content: bytes) -> None:
    assert "expected a request" in upload(there, content)


def test_a_file_that_is_too_long_is_not_read(there: Desk) -> None:
    assert "must have at most" in upload(there, b"x" * 300_000)


def test_a_request_that_was_changed_between_the_two_pages_is_refused(there: Desk, tmp_path: Path) -> None:
    courier = site_of(there, tmp_path / "site")
    found = json.loads(courier.request.read_text())
    found["content"]["site"] = "site-02"
    courier.request.write_text(json.dumps(found))
    assert "must be signed by the key in it" in enrol(there, courier.request, same="yes")
    assert read_register(there.made.home).entries == ()


def test_the_passphrase_of_the_ca_is_asked_for_and_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    there = empty_desk(tmp_path)
    for part in ("ca", "tls"):
        for path in (there.made.home.folder / part).iterdir():
            path.unlink()
    there.made.home.sites.unlink(missing_ok=True)
    identity = set_up_federation(there.made.home.folder, b"a passphrase", NOW).identity
    courier = courier_of(tmp_path / "site")
    request_enrolment(courier, "site-01", identity, False, VERSIONS, NOW)
    assert 'name="passphrase"' in upload(there, courier.request.read_bytes())
    assert "is encrypted" in enrol(there, courier.request, same="yes")
    assert "passphrase is wrong" in enrol(there, courier.request, same="yes", passphrase="another")
    assert "Enrolled site-01" in enrol(there, courier.request, same="yes", passphrase="a passphrase")
    files = [path for path in there.made.home.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"a passphrase" in path.read_bytes()]
    assert "a passphrase" not in json.dumps(there.said)
    assert open_authority(Home(there.made.home.folder), b"a passphrase", NOW)


def test_a_kit_is_renewed_and_a_site_revoked_with_a_reason(there: Desk, tmp_path: Path) -> None:
    home = there.made.home
    there.made.joined(tmp_path / "site")
    page = there.get("/sites/site-01").text
    assert "Renew the kit" in page
    before = home.kit("site-01").read_bytes()
    assert there.press("/sites/site-01/renew").headers["location"] == "/sites/site-01"
    assert home.kit("site-01").read_bytes() != before
    assert "give one" in there.press("/sites/site-01/revoke", reason="  ").text
    assert read_register(home).current("site-01") is not None
    assert "Revoked site-01" in there.press("/sites/site-01/revoke", reason="lost a disk").text
    (entry,) = read_register(home).entries
    assert (entry.standing, entry.reason) == ("revoked", "lost a disk")
    assert "Revoke site-01" not in there.get("/sites/site-01").text
    answer = there.press("/sites/site-01/revoke", reason="again")
    assert (answer.status, "has no key to revoke" in answer.text) == (409, True)
    again = ("revoke", "again")
    assert [(line.action, line.said) for line in read_actions(home)] == [
        ("renew kit", ""), ("revoke", "lost a disk"), again, again,
    ]  # fmt: skip
    assert "has no key to revoke" in read_actions(home)[-1].fault
    assert there.get("/sites/nobody").status == 404


@pytest.mark.usefixtures("up")
def test_a_run_is_started_and_stopped_as_by_the_commands(there: Desk, tmp_path: Path) -> None:
    study = there.made.study
    assert "at least" in there.press("/run/start").text  # nobody is enrolled
    there.made.joined(tmp_path / "site")
    assert "Start the run" in there.get("/").text
    answer = there.press("/run/start", study=study.name)
    assert (answer.status, answer.headers["location"]) == (303, f"/?study={study.name}")
    order = read_order(study)
    assert order is not None
    assert order_run(study) == order
    assert "Stop after the round" in there.get("/").text
    there.press("/run/stop", study=study.name)
    assert read_order(study) == order.model_copy(update={"wanted": "stop"})
    there.press("/run/stop", study=study.name, when="at once")
    assert read_order(study) == order.model_copy(update={"wanted": "halt"})
    assert "expected the name of a study" in there.press("/run/stop", study="another").text
    assert [line.action for line in read_actions(there.made.home) if not line.fault] == [
        "start", "start", "stop after the round", "stop at once",
    ]  # fmt: skip
    assert "Start the run" not in there.get("/", "researcher").text


def test_without_the_daemon_nothing_is_ordered(there: Desk, tmp_path: Path) -> None:
    there.made.joined(tmp_path / "site")
    answer = there.press("/run/start")
    assert (answer.status, "nothing runs for" in answer.text) == (409, True)
    assert read_order(there.made.study) is None


def test_a_roster_needs_its_sites(there: Desk, tmp_path: Path) -> None:
    assert "a roster needs 3 enrolled sites" in there.press("/roster").text
    federation = there.made.home.federation
    federation.write_text(federation.read_text().replace("site-02]", "site-02, site-03]"))
    for number, name in enumerate(("site-01", "site-02", "site-03")):
        courier = courier_of(tmp_path / name)
        write_atomically(courier.sums_key, b"%064x" % number, PUBLIC)
        site_of(there, tmp_path / name, name)
        assert f"Enrolled {name}" in enrol(there, courier.request, same="yes")
    page = there.press("/roster").text
    assert there.get("/roster.json").status == 200
    assert re.search(r'class="large">[0-9a-f]{64}<', page)


def test_the_page_of_actions_has_those_of_the_commands_too(
    there: Desk, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    courier = site_of(there, tmp_path / "site")
    folder = there.made.home.folder
    told(capfd, "enrol", folder, courier.request, "--yes")
    told(capfd, "renew", folder, "site-01")
    told(capfd, "revoke", folder, "site-01", "--reason", "<b>gone</b>")
    told(capfd, "people", folder, "add", "ada", "--role", "monitor")
    assert "nothing runs" in told(capfd, "run", folder, "--detach", code=1)
    found = [(line.who, line.way, line.action, line.about) for line in read_actions(there.made.home)]
    assert found[:4] == [
        (read_account(), "command", *rest)
        for rest in (("enrol", "site-01"), ("renew kit", "site-01"), ("revoke", "site-01"), ("add person", "ada"))
    ]
    text = there.get("/actions").text
    assert "&lt;b&gt;gone" in text
    assert text.index("add person") < text.index("revoke")
    assert there.get("/actions", "researcher").status == 403
