"""The front door's configuration as text, and as nginx reads it; test_approved_code.py opens it."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flwr.supernode import fleet_http_client
from made_federation import FEDERATION, lab
from real_coordinator import answers, founded, ports, wait

from ceus_models.pki.enrolment import utc_now
from client.courier.connectivity import probe_coordinator
from server.federation.federation_file import Federation, load_federation
from server.federation.nginx_conf import CALLS, has_ipv6
from server.operations.preflight import _addresses

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


LARGE = 16 << 20


def test_what_passes_is_what_flowers_node_calls(tmp_path: Path) -> None:
    """Flower's own list of calls, less the two by which a node would register itself."""
    source = Path(fleet_http_client.__file__).read_text()
    called = set(re.findall(r'path="/v1/fleet/([a-z-]+)"', source))
    assert called - {"register-node", "unregister-node"} == set(CALLS)


def test_the_door_holds_what_the_federation_says(tmp_path: Path) -> None:
    text = FEDERATION.replace("sites:", "superlink_port: 18999\nlargest_piece_mb: 77\nsites:")
    home = lab(tmp_path, text).home
    config = home.nginx.read_text()
    for part in ("127.0.0.1:18999", "18443", "77m;", str(home.ca), str(home.front_key), "localhost", "404"):
        assert part in config
    assert config.count("push-object") >= 2
    assert not re.search(r"verify off|insecure|http://", config)


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    done = subprocess.run([str(NGINX), "-t", "-c", str(home.nginx)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.replace('the "user" directive', "")


class _Large(BaseHTTPRequestHandler):
    """A SuperLink that answers with one large piece."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", str(LARGE))
        self.end_headers()
        self.wfile.write(bytes(LARGE))

    def log_message(self, *_: object) -> None: ...


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
def test_a_site_that_reads_slowly_gets_a_large_piece_whole(tmp_path: Path) -> None:
    """Started by root, nginx's workers are another user, who may not enter this folder."""
    made, front, superlink = founded(tmp_path)
    home = made.home
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(home.superlink, home.superlink_key)
    with ThreadingHTTPServer(("127.0.0.1", superlink), _Large) as server:
        server.socket = ours.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        nginx = subprocess.Popen([str(NGINX), "-c", str(home.nginx), "-g", "daemon off;"], stderr=subprocess.PIPE)
        try:
            wait(lambda: answers(front), 20, "nginx")
            got = read_slowly(front, str(home.ca))
        finally:
            nginx.terminate()
            said = nginx.communicate(timeout=20)[1].decode()
            server.shutdown()
    assert got == LARGE, said


def read_slowly(port: int, ca: str) -> int:
    """Bytes of the answer's body."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(60)
        plain.connect(("127.0.0.1", port))
        with ssl.create_default_context(cafile=ca).wrap_socket(plain, server_hostname="localhost") as line:
            line.sendall(b"POST /v1/fleet/pull-object HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
            time.sleep(1.0)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            found = 0
            try:
                while piece := answer.read(1 << 16):
                    found += len(piece)
            except (http.client.HTTPException, OSError):
                pass
            return found


@pytest.mark.skipif(NGINX is None or not has_ipv6(), reason="needs nginx (Debian: nginx-light) and IPv6")
def test_the_door_is_open_on_both_families(tmp_path: Path) -> None:
    (front,) = ports(1)
    text = FEDERATION.replace("localhost:18443", f'"[::1]:{front}"')
    home = lab(tmp_path / "co", text).home
    nginx = subprocess.Popen([str(NGINX), "-c", str(home.nginx), "-g", "daemon off;"], stderr=subprocess.PIPE)
    try:
        wait(lambda: answers(front), 20, "nginx")
        trusted = ssl.create_default_context(cafile=str(home.ca))
        for address in ("::1", "127.0.0.1"):
            line = http.client.HTTPSConnection(address, front, timeout=20, context=trusted)
            line.request("POST", "/v1/control/start-run", b"")
            assert line.getresponse().status == http.HTTPStatus.NOT_FOUND
            line.close()
        for address in ("[::1]", "127.0.0.1"):
            found = probe_coordinator(f"{address}:{front}", home.ca, utc_now())
            assert "the coordinator behind it does not run" in found.fault, "the door itself was reached"
        (note,) = _addresses(load_federation(home.federation))
        assert (note.state, "::1" in note.found) == ("ok", True)
    finally:
        nginx.terminate()
        nginx.communicate(timeout=20)


def test_a_kernel_without_ipv6_gets_a_door_that_nginx_can_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.federation.nginx_conf.has_ipv6", lambda: False)
    assert "[::]" not in lab(tmp_path).home.nginx.read_text()
    monkeypatch.setattr("server.federation.nginx_conf.has_ipv6", lambda: True)
    assert "listen [::]:18443 ssl ipv6only=on;" in lab(tmp_path).home.nginx.read_text()


def test_an_address_of_the_name_that_is_shut_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 1)), (socket.AF_INET6, 1, 6, "", ("::1", 1, 0, 0))]
    monkeypatch.setattr("server.operations.preflight.socket.getaddrinfo", lambda *_, **__: both)
    monkeypatch.setattr("server.operations.preflight._connects", lambda address, port: address == "127.0.0.1")
    federation = Federation.model_validate({"schema": 1, "name": "lab", "address": "fl.example.org:443"})
    (note,) = _addresses(federation)
    assert note.state == "note"
    assert "nothing answers at ::1, which fl.example.org is too" in note.found
