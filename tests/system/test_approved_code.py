"""Real Flower processes with TLS and node keys behind a real front door: what runs, what is refused, what is open.

One SuperLink, one SuperExec, one SuperNode and the runner, started by the documented commands: a minute or two.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    StreamLogsRequest,
)
from flwr.proto.fleet_pb2 import PullMessagesRequest, PushMessagesRequest, RegisterNodeFleetRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES as REQUEST_TYPES
from made_bundles import OTHER_FEDERATION, files_of, packed, signed_bundle, with_settings
from made_federation import DAY, Lab
from real_coordinator import NGINX, answers, founded, ports, program, start, started, wait

from ceus_models.pki.enrolment import utc_now
from ceus_models.pki.keys import PrivateKey, format_public_pem, generate_key, read_private_key
from ceus_models.runtime.process_tree import ProcessGroup
from client.courier.approval import approve
from client.courier.fab import contents_of, find_trust
from client.courier.folder import CourierFolder
from client.courier.kit import load_kit
from server.federation.enrolment import revoke
from server.federation.federation_file import load_federation
from server.federation.founding import renew_front
from server.federation.nginx_conf import CALLS
from server.federation.node_roster import synchronise
from server.federation.site_register import change_register, read_register
from server.transport.superlink_control import Control

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
MODULE = [sys.executable, "-m"]
CANARY = """import pathlib
pathlib.Path({path!r}).write_text("imported")
"""


@dataclass(frozen=True)
class Running:
    """front, superlink: ports · content: the approved bundle."""

    lab: Lab
    courier: CourierFolder
    fleet: ProcessGroup
    front: int
    superlink: int
    content: bytes
    scratch: Path

    def asked(self, content: bytes, **settings: Any) -> list[dict[str, Any]]:
        """What the coordinator gets from the site in a run with this bundle."""
        out = self.scratch / "answers.json"
        out.unlink(missing_ok=True)
        with Control(f"localhost:{self.superlink}", self.lab.home.ca.read_bytes()) as control:
            run = control.submit({"out": str(out), **settings}, content)
            wait(lambda: control.state(run).finished, 150, "the run")
        self.fleet.check_running()
        found: list[dict[str, Any]] = json.loads(out.read_text())
        return found

    def events(self) -> list[dict[str, Any]]:
        lines = self.fleet.log_path("runner").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def post(
    port: int, ca: Path, path: str, body: bytes, method: str = "POST", headers: Mapping[str, str] | None = None
) -> int:
    connection = http.client.HTTPSConnection(
        "localhost", port, timeout=30, context=ssl.create_default_context(cafile=str(ca))
    )
    try:
        kinds = {"content-type": PROTOBUF_MEDIA_TYPE, "accept": PROTOBUF_MEDIA_TYPE, **(headers or {})}
        connection.request(method, path, body, kinds)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    scratch = tmp_path_factory.mktemp("real")
    made, front, superlink = founded(scratch)
    courier = made.joined(scratch / "s")
    content = made.bundle(server_app="asking_app:app")
    trust = find_trust(load_kit(courier, made.now))
    approve(courier, contents_of(content, trust), "it", made.now)
    with started(made, front, superlink, scratch) as coordinator:
        fleet, (runtime,) = coordinator.fleet, ports(1)
        own = ["--courier", str(courier.folder)]
        start(
            fleet,
            "node",
            [*MODULE, "client.courier.supernode", *own, "--socket", "/none", "--port", str(runtime)],
            scratch,
        )
        wait(lambda: answers(runtime), 120, "the SuperNode")
        start(fleet, "runner", [*MODULE, "client.courier.runner", *own, "--api", f"127.0.0.1:{runtime}"], scratch)
        yield Running(made, courier, fleet, front, superlink, content, scratch)


def test_the_approved_bundle_runs_through_tls_node_keys_and_the_front_door(running: Running) -> None:
    assert running.asked(running.content) == [{"name": "site-01"}]
    begun = time.monotonic()
    assert running.asked(running.content, seed=5) == [{"name": "site-01"}]
    print(f"a whole run with one trivial message: {time.monotonic() - begun:.1f} s")
    assert {event["event"] for event in running.events()} == {"ready", "ran"}


def test_one_changed_byte_a_shadowing_module_and_changed_settings_are_refused(running: Running, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = CANARY.format(path=str(canary)).encode()
    shadowing = packed({**files_of(running.content), "client/__init__.py": code, "client/courier/client_app.py": code})
    changed = with_settings("settings of a", "settings of b", running.content)
    other = signed_bundle(server_app="asking_app:app", federation=OTHER_FEDERATION)
    again = running.lab.bundle(server_app="asking_app:app", made=running.lab.now + DAY)
    for content, settings, said, more in (
        (changed, {}, "is not approved at this site", ["alarm"]),
        (shadowing, {}, "is not approved at this site", ["alarm"]),
        (other, {}, "is not approved at this site", ["alarm"]),
        (again, {}, "is not approved at this site", []),
        (running.content, {"plan-digest": "cd" * 32}, "'plan-digest' differs from the approved one", []),
    ):
        before = len(running.events())
        found = running.asked(content, **settings)
        assert [answer["code"] for answer in found] == [7], found
        assert said in found[0]["reason"]
        assert [event["event"] for event in running.events()[before:]] == [
            *more,
            "notice",
            "refused",
        ]  # no worker runs here
        assert not canary.exists()
    (waits,) = running.courier.waiting.iterdir()
    assert waits.read_bytes() == again
    approve(running.courier, contents_of(again, find_trust(load_kit(running.courier, utc_now()))), "it", utc_now())
    assert running.asked(again) == [{"name": "site-01"}]  # without a restart
    assert not list(running.scratch.glob("flwr-node/apps*")) + list(running.scratch.glob("flwr-runner/apps*"))
    subprocess.run([sys.executable, "-c", code.decode()], check=True)
    assert canary.exists()  # the canary does sing when it is imported
    assert running.asked(running.content) == [{"name": "site-01"}]  # and the node is none the worse


def test_the_front_door_opens_to_the_fleet_alone(running: Running) -> None:
    ca = running.lab.home.ca
    key = format_public_pem(generate_key().public_key())
    closed = {
        "/v1/control/list-nodes": ListNodesRequest().SerializeToString(),
        "/v1/control/register-node": RegisterNodeRequest(public_key=key, name="x").SerializeToString(),
        "/v1/control/start-run": StartRunRequest().SerializeToString(),
        "/v1/runtime/acquire-task": AcquireTaskRequest(supported_task_types=["flwr-serverapp"]).SerializeToString(),
    }
    for path, body in closed.items():
        assert post(running.front, ca, path, body) == 404, path
    behind = {path: post(running.superlink, ca, path, body) for path, body in closed.items()}
    assert behind["/v1/control/list-nodes"] == 200  # the stock SuperLink lets anybody list, hence the door before it
    assert behind["/v1/control/register-node"] == 200  # and register a key, which the register of sites shuts out again
    assert behind["/v1/runtime/acquire-task"] == 401  # and tasks need the secret
    for path in (
        "/", "/health", "/docs", "/openapi.json", "/v1/fleet/", "/v1/fleet/x", "/v1/fleet/register-node",
        "/v1/fleet/unregister-node", "/v1/fleet/../control/list-nodes", "/v1/control/%2e%2e/fleet/pull-messages",
        "/v1/control/../fleet/pull-messages", "/v1/fleet/pull-messages/../../control/list-nodes",
        "//v1/control/list-nodes",
        "/v1/fleet/pull-messages?x=1", "/v1/fleet%2fpull-messages", "/V1/fleet/pull-messages",
    ):  # fmt: skip
        assert post(running.front, ca, path, b"") == 404, path
    assert post(running.front, ca, "/v1/fleet/pull-messages", b"", "GET") == 404
    for call in CALLS:
        assert post(running.front, ca, f"/v1/fleet/{call}", b"") in (400, 401, 422), call
    with Control(f"localhost:{running.superlink}", ca.read_bytes()) as control:
        told = synchronise(control, read_register(running.lab.home), utc_now())
    assert [line.split(" (")[0] for line in told] == ["shut out a key that nobody enrolled"]
    assert post(
        running.superlink, ca, "/v1/fleet/register-node", RegisterNodeFleetRequest(public_key=key).SerializeToString()
    ) in (401, 403)


def test_uploads_of_flowers_pieces_pass_and_larger_ones_do_not(running: Running) -> None:
    federation = load_federation(running.lab.home.federation)
    ca = running.lab.home.ca
    assert post(running.front, ca, "/v1/fleet/push-object", bytes(6 << 20)) in (400, 401, 422)
    too_large = (federation.largest_piece_mb << 20) + 1
    connection = http.client.HTTPSConnection(
        "localhost", running.front, timeout=30, context=ssl.create_default_context(cafile=str(ca))
    )
    connection.putrequest("POST", "/v1/fleet/push-object")
    connection.putheader("Content-Length", str(too_large))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_node_that_nobody_enrolled_does_not_come_online(running: Running, tmp_path: Path) -> None:
    stranger = running.lab.site(tmp_path / "x", "site-02")
    (port,) = ports(1)
    command = [
        program("flower-supernode"),
        "--superlink",
        f"localhost:{running.front}",
        "--root-certificates",
        str(running.lab.home.ca),
    ]
    command += ["--auth-supernode-private-key", str(stranger.key), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--isolation", "process", "--superexec-auth-secret-file", str(running.courier.superexec_secret)]
    with ProcessGroup(tmp_path / "logs") as fleet:
        start(fleet, "stranger", command, tmp_path)
        wait(lambda: b"305" in fleet.log_path("stranger").read_bytes(), 60, "Flower's refusal")
        log = fleet.log_path("stranger").read_text()
    assert "Failed to activate SuperNode" in log


def test_a_sites_key_is_good_for_that_site_alone(running: Running) -> None:
    with Control(f"localhost:{running.superlink}", running.lab.home.ca.read_bytes()) as control:
        node = control.keys()[format_public_pem(read_private_key(running.courier.key, "it").public_key())]
    assert pulled(running, read_private_key(running.courier.key, "it"), node) == 200
    assert pulled(running, read_private_key(running.courier.key, "it"), node + 1) == 401  # as another site
    assert pulled(running, generate_key(), node) == 401  # a key that nobody enrolled
    assert (
        pulled(running, read_private_key(running.courier.key, "it"), node, hours_off=1) == 401
    )  # an old request replayed


def pulled(running: Running, key: PrivateKey, node: int, hours_off: int = 0) -> int:
    """The status of a node's own call through the front door, signed as Flower's SuperNode signs it."""
    stamp = (utc_now() - timedelta(hours=hours_off)).isoformat()
    mark = key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
    headers = {
        FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(format_public_pem(key.public_key())).decode(),
        FLEET_HTTP_SIGNATURE_HEADER: b64encode(mark).decode(),
        TIMESTAMP_HEADER: stamp,
    }
    body = PullMessagesRequest(node=Node(node_id=node)).SerializeToString()
    return post(running.front, running.lab.home.ca, "/v1/fleet/pull-messages", body, headers=headers)


def signed(key: PrivateKey) -> dict[str, str]:
    """The headers by which Flower's SuperNode shows its key."""
    stamp = utc_now().isoformat()
    mark = key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
    return {
        FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(format_public_pem(key.public_key())).decode(),
        FLEET_HTTP_SIGNATURE_HEADER: b64encode(mark).decode(),
        TIMESTAMP_HEADER: stamp,
    }


@pytest.mark.parametrize("who", ["only the CA's certificate", "a site's valid key"])
def test_no_call_of_control_or_runtime_passes_the_door_whoever_asks(running: Running, who: str) -> None:
    """Listing, logs, registering, starting and stopping runs, taking tasks: all that Flower has, of both interfaces."""
    ca = running.lab.home.ca
    headers = signed(read_private_key(running.courier.key, "it")) if who == "a site's valid key" else {}
    behind = [path for _, path in REQUEST_TYPES if path.startswith(("/v1/control/", "/v1/runtime/"))]
    assert {"list-nodes", "stream-logs", "register-node", "start-run", "stop-run", "acquire-task"} <= {
        path.rpartition("/")[2] for path in behind
    }
    assert {post(running.front, ca, path, b"", headers=headers) for path in behind} == {404}


def test_a_sites_key_posts_for_that_site_alone(running: Running) -> None:
    ca, key = running.lab.home.ca, read_private_key(running.courier.key, "it")
    with Control(f"localhost:{running.superlink}", ca.read_bytes()) as control:
        node = control.keys()[format_public_pem(key.public_key())]

    def posted(number: int, by: PrivateKey) -> int:
        body = PushMessagesRequest(node=Node(node_id=number)).SerializeToString()
        return post(running.front, ca, "/v1/fleet/push-messages", body, headers=signed(by))

    assert posted(node + 1, key) == 401  # as another site
    assert posted(node, generate_key()) == 401  # by a key that nobody enrolled
    assert posted(node, key) not in (401, 403, 404)  # an empty message of its own is no matter of the door


def test_a_stock_superlink_beside_it_lets_who_has_the_certificate_do_nearly_all(
    running: Running, tmp_path: Path
) -> None:
    """Flower's own process with TLS and node keys, as its documentation starts it."""
    home = running.lab.home
    (port,) = ports(1)
    command = [program("flower-superlink"), "--host", "127.0.0.1", "--port", str(port), "--enable-supernode-auth"]
    command += ["--disable-runtime-dependency-installation", "--isolation", "process"]
    command += ["--ssl-certfile", str(home.superlink), "--ssl-keyfile", str(home.superlink_key)]
    command += ["--ssl-ca-certfile", str(home.ca)]
    key = format_public_pem(generate_key().public_key())
    with ProcessGroup(tmp_path / "logs") as fleet:
        start(fleet, "stock", command, tmp_path)
        wait(lambda: answers(port), 120, "the stock SuperLink")
        with Control(f"localhost:{port}", home.ca.read_bytes()) as control:
            control.admit(key, "an attacker")
            assert list(control.keys()) == [key]
            run = control.submit({}, running.content)
        take = AcquireTaskRequest(supported_task_types=["flwr-serverapp"]).SerializeToString()
        logs = StreamLogsRequest(run_id=run).SerializeToString()
        allowed = {
            "/v1/control/list-nodes": ListNodesRequest().SerializeToString(),
            "/v1/runtime/acquire-task": take,
            "/v1/control/stop-run": StopRunRequest(run_id=run).SerializeToString(),
            "/v1/control/stream-logs": logs,
        }
        assert {path: post(port, home.ca, path, body) for path, body in allowed.items()} == dict.fromkeys(allowed, 200)


def test_the_front_doors_certificate_is_renewed_without_closing_it(running: Running) -> None:
    home = running.lab.home
    before = running.fleet.log_path("node").read_text()
    renew_front(home, load_federation(home.federation), None, utc_now())
    subprocess.run([str(NGINX), "-c", str(home.nginx), "-s", "reload"], check=True, capture_output=True)
    wait(lambda: _served(running.front, home.ca) == home.front.read_text(), 20, "the new certificate")
    assert running.asked(running.content) == [{"name": "site-01"}]
    assert "Traceback" not in running.fleet.log_path("node").read_text()[len(before) :]


def _served(port: int, ca: Path) -> str:
    with socket.create_connection(("localhost", port)) as raw:
        context = ssl.create_default_context(cafile=str(ca))
        with context.wrap_socket(raw, server_hostname="localhost") as secured:
            der = secured.getpeercert(binary_form=True)
            assert der
            return ssl.DER_cert_to_PEM_cert(der)


def test_a_revoked_site_is_shut_out_of_a_running_federation(running: Running) -> None:
    """The last test: Flower never takes a key again that was dismissed."""
    with change_register(running.lab.home) as register:
        revoke("site-01", "for the test", register, utc_now())
    with Control(f"localhost:{running.superlink}", running.lab.home.ca.read_bytes()) as control:
        (node,) = control.keys().values()
        assert pulled(running, read_private_key(running.courier.key, "it"), node) == 200
        told = synchronise(control, read_register(running.lab.home), utc_now())
        assert "shut out site-01" in [line.split(" (")[0] for line in told]
        assert control.keys() == {}
    assert pulled(running, read_private_key(running.courier.key, "it"), node) == 401
