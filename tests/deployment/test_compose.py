"""The compose files: valid, hardened, and the courier without data, the worker without network."""

from __future__ import annotations

from typing import Any

import pytest
from deployment_files import CONSOLE_FILE, DOCKER, checked, compose, mounts, services, tool

SERVICES = [pytest.param(said, id=f"{file}-{name}") for file, name, said in services()]
SITE = compose("compose.site.yaml")["services"]
STUDY = compose("compose.coordinator.yaml")["services"]
HOME = "/sites/site-01"


def test_every_file_follows_the_specification() -> None:
    files = sorted(DOCKER.glob("compose*.yaml"))
    assert len(files) == 4
    checked(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files)


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_locked_down(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert "latest" not in service["image"]
    assert ":" in service["image"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_long_lived_container_says_whether_it_can_answer(service: dict[str, Any]) -> None:
    if service.get("profiles"):  # a command of an administrator
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_of_the_host_is_made_by_a_misspelt_path(service: dict[str, Any]) -> None:
    binds = [mount for mount in mounts(service).values() if mount["type"] == "bind"]
    assert all(mount["bind"]["create_host_path"] is False for mount in binds)
    assert not any("docker.sock" in mount["source"] for mount in binds)


def test_the_courier_sees_its_keys_and_the_socket_and_no_data() -> None:
    found = mounts(SITE["courier"])
    assert set(found) == {f"{HOME}/courier", f"{HOME}/courier/state", "/run/ceus", "/tmp"}
    assert found[f"{HOME}/courier"]["read_only"] is True
    assert found[f"{HOME}/courier"]["source"].endswith("/site-01/courier")
    assert found[f"{HOME}/courier/state"]["source"].endswith("/site-01/courier/state")
    assert "network_mode" not in SITE["courier"]


def test_the_worker_has_no_network_and_writes_to_work_and_records_alone() -> None:
    worker = SITE["worker"]
    assert worker["network_mode"] == "none"
    assert not worker.keys() & {"ports", "networks", "links", "expose"}
    found = mounts(worker)
    assert found[HOME]["read_only"] is True
    written = {place for place, mount in found.items() if mount["type"] == "bind" and not mount.get("read_only")}
    assert written == {f"{HOME}/.ceus", f"{HOME}/records"}
    assert found[f"{HOME}/courier"]["type"] == "tmpfs"  # the node's keys are hidden from it
    assert found["/etc/machine-id"]["read_only"] is True  # one kit at two machines is noticed by it


def test_courier_and_worker_are_two_users_that_share_a_group_and_a_socket() -> None:
    courier, worker = SITE["courier"], SITE["worker"]
    assert courier["user"] != worker["user"]
    socket = compose("compose.site.yaml")["volumes"]["socket"]["driver_opts"]
    options = dict(option.split("=") for option in socket["o"].split(","))
    assert socket["type"] == "tmpfs"
    assert courier["group_add"] == [options["gid"]]
    assert options["uid"] == worker["user"].split(":")[0]
    assert options["mode"] == "2710"  # the socket gets the group, which may pass through and not list
    shared = mounts(courier).keys() & mounts(worker).keys() - {"/tmp", f"{HOME}/courier"}
    assert shared == {"/run/ceus"}
    paths = [said["command"][said["command"].index("--socket") + 1] for said in (courier, worker)]
    assert paths == ["/run/ceus/worker.sock"] * 2


def test_the_card_goes_to_the_worker_and_not_to_the_courier() -> None:
    override = compose("compose.site.gpu.yaml")["services"]
    assert set(override) == {"worker", "office"}
    cards = override["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert [card["driver"] for card in cards] == ["nvidia"]
    assert "/dev/nvidia0" in override["worker"]["devices"]


def test_only_the_front_door_is_reached_from_outside() -> None:
    published = {name: said["ports"] for name, said in STUDY.items() if "ports" in said}
    assert published == {"coordinator": ["443:443"]}
    assert STUDY["front"]["network_mode"] == "service:coordinator"
    front = mounts(STUDY["front"])
    assert set(front) == {"/study/front", "/study/front/run", "/study/tls", "/study/ca/ca.pem", "/tmp"}
    assert all(mount.get("read_only") for mount in front.values() if mount["type"] == "bind")


def test_the_console_is_reached_from_this_host_alone_over_tls() -> None:
    both = compose(CONSOLE_FILE)["services"]
    assert both["coordinator"] == {"ports": ["127.0.0.1:8090:8090"]}
    console = both["console"]
    assert console["network_mode"] == "service:coordinator"
    assert "--certificate" in console["command"]
    assert console["read_only"] is True


def test_the_key_of_the_ca_is_hidden_from_what_runs_for_weeks() -> None:
    for service in (STUDY["coordinator"], compose(CONSOLE_FILE)["services"]["console"]):
        found = mounts(service)
        assert found["/study/ca"]["type"] == "tmpfs"
        assert found["/study/ca/ca.pem"]["read_only"] is True
    assert "/study/ca" not in mounts(STUDY["office"])
