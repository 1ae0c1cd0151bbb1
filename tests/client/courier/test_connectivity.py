from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from connect_proxy import PASSWORD, USER, connect_proxy
from made_federation import FEDERATION, NOW, PLAN, lab

from ceus_models.pki.enrolment import utc_now
from client.courier.connectivity import probe_coordinator, probe_upload, proxy_for
from server.federation.founding import set_up_federation
from server.run_folder.paths import Home

Serve = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return lab(tmp_path_factory.mktemp("co"), FEDERATION).home


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a front door that says one status, and whose clock is so far ahead; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(home: Home, status: int = 401, ahead: timedelta = timedelta(0)) -> str:
        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response_only(413 if status == 413 and self.path.endswith("push-object") else status)
                self.send_header("Date", format_datetime(utc_now() + ahead, usegmt=True))
                self.send_header("Content-Length", "0")
                self.end_headers()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home.front, home.front_key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that do not trust it hang up
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"localhost:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_door_that_refuses_an_unsigned_call_is_the_right_one(home: Home, serve: Serve) -> None:
    found = probe_coordinator(serve(home), home.ca, utc_now())
    assert found.fault == ""
    assert abs(found.ahead_s or 0) < 5
    assert probe_upload(serve(home), home.ca, 1000) == 401


@pytest.mark.parametrize(
    ("status", "ahead", "fault", "remedy"),
    [
        (401, timedelta(minutes=20), "clock is 20 min behind", "timedatectl"),
        (401, -timedelta(minutes=12), "clock is 12 min ahead", "timedatectl"),
        (502, timedelta(0), "the coordinator behind it does not run", "goes on by itself"),
        (404, timedelta(0), "is not the front door of this federation", "whether a filter answers in its place"),
        (200, timedelta(0), "is not the front door of this federation", "ask the coordinator for the address"),
    ],
)
def test_what_it_says_has_a_cause_and_a_remedy(
    home: Home, serve: Serve, status: int, ahead: timedelta, fault: str, remedy: str
) -> None:
    found = probe_coordinator(serve(home, status, ahead), home.ca, utc_now())
    assert fault in found.fault
    assert remedy in found.remedy


def test_a_certificate_of_somebody_else_is_told_from_an_expired_one(home: Home, serve: Serve, tmp_path: Path) -> None:
    other = lab(tmp_path / "other", FEDERATION).home
    found = probe_coordinator(serve(other), home.ca, utc_now())
    assert "is not of this federation's CA" in found.fault
    assert "opens TLS" in found.remedy
    old = tmp_path / "old"
    old.mkdir()
    (old / "federation.yaml").write_text(FEDERATION)
    (old / "plan.yaml").write_text(PLAN)
    _founded(old)
    found = probe_coordinator(serve(Home(old)), Home(old).ca, utc_now())
    assert "not valid by this machine's clock" in found.fault
    assert "ceus-coordinator renew" in found.remedy


def _founded(folder: Path) -> None:
    set_up_federation(folder, None, NOW - timedelta(days=400))


def test_a_certificate_for_another_name_is_told_as_such(serve: Serve, tmp_path: Path) -> None:
    named = FEDERATION.replace("localhost:18443", "fed.example.org:18443").replace("names: [127.0.0.1]\n", "")
    home = lab(tmp_path, named).home
    found = probe_coordinator(serve(home), home.ca, utc_now())
    assert "is for another name" in found.fault
    assert "under names in federation.yaml" in found.remedy


@pytest.mark.parametrize(
    ("address", "fault"),
    [("localhost:9", "no connection to localhost:9"), ("nowhere.invalid:443", "is not known here")],
)
def test_a_door_that_cannot_be_reached_at_all(home: Home, address: str, fault: str) -> None:
    found = probe_coordinator(address, home.ca, utc_now(), timeout=5.0)
    assert fault in found.fault
    assert "HTTPS_PROXY" in found.remedy


def test_the_proxy_of_the_environment_is_used_and_named_without_its_password(
    home: Home, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve(home)
    with connect_proxy(address) as proxy:
        login = f"{USER}:{quote(PASSWORD, safe='')}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{login}@127.0.0.1:{proxy.port}")
        assert probe_coordinator(address, home.ca, utc_now()).fault == ""
        assert proxy.asked == {f"CONNECT {address}": 1}
        assert proxy_for(address) == f"127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:wrong@127.0.0.1:{proxy.port}")
        found = probe_coordinator(address, home.ca, utc_now())
        assert "does not let this machine through (407" in found.fault
        assert "wrong" not in str(found)
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert proxy_for(address) == ""
        assert probe_coordinator(address, home.ca, utc_now()).fault == ""
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert "through the proxy 127.0.0.1:9" in probe_coordinator(address, home.ca, utc_now()).fault
