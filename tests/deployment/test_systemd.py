"""The systemd units: hardened, the worker without network, the courier without data; checked by systemd where it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from deployment_files import DOCKER, checked, unit, units

WORKER, COURIER = "ceus-worker@.service", "ceus-courier@.service"
COORDINATOR, FRONT, CONSOLE = "ceus-coordinator.service", "ceus-front.service", "ceus-console.service"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze (Debian: systemd)")


def service(name: str) -> dict[str, list[str]]:
    return dict(unit(name)["Service"])


def installed(folder: Path) -> list[Path]:
    """The units as they would be installed, with a program that is there: systemd looks for it."""
    paths = []
    for name in units():
        text = (DOCKER / "systemd" / name).read_text(encoding="utf-8")
        text = re.sub(r"(Exec\w+)=/(?:opt|usr/sbin)/\S+", r"\1=/bin/true", text)
        for copy in {name, name.replace("@.", "@site-01.")}:
            (folder / copy).write_text(text, encoding="utf-8")
        paths.append(folder / name.replace("@.", "@site-01."))
    return paths


def test_there_are_the_five_services() -> None:
    assert units() == sorted([WORKER, COURIER, COORDINATOR, FRONT, CONSOLE])


@needs_systemd
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    assert ANALYZE is not None
    command = [ANALYZE, "verify", "--man=no", *map(str, installed(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line for line in done.stderr.splitlines() if "ceus" in line] == []  # it also tells of other services


@needs_systemd
def test_systemd_would_find_a_fault(tmp_path: Path) -> None:
    assert ANALYZE is not None
    path = installed(tmp_path)[0]
    path.write_text(path.read_text(encoding="utf-8").replace("ProtectHome", "ProtectHouse"), encoding="utf-8")
    done = subprocess.run([ANALYZE, "verify", "--man=no", path], capture_output=True, text=True, check=False)
    assert "ProtectHouse" in done.stderr


@needs_systemd
def test_systemd_calls_each_exposure_low(tmp_path: Path) -> None:
    assert ANALYZE is not None
    for path in installed(tmp_path):
        checked(ANALYZE, "security", "--offline=yes", "--no-pager", "--threshold=20", path)  # 2.0 of 10 at most


@pytest.mark.parametrize("name", units())
def test_every_service_is_hardened(name: str) -> None:
    said = service(name)
    assert said["User"] != ["root"]
    for key, value in (
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("UMask", "0077"),
        ("LimitCORE", "0"),  # a core file would hold what memory held
    ):
        assert said[key] == [value], key
    assert said["CapabilityBoundingSet"] == (["CAP_NET_BIND_SERVICE"] if name == FRONT else [""])
    assert said["MemoryMax"]
    assert said["TasksMax"]


@pytest.mark.parametrize("name", units())
def test_every_service_is_started_again_without_end(name: str) -> None:
    assert service(name)["Restart"] == ["always"]
    assert int(service(name)["RestartSec"][0]) >= 10  # a node is refused until its old lease has ended
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == ["0"]


def test_the_worker_has_no_network_and_writes_to_work_and_records_alone() -> None:
    said = service(WORKER)
    assert said["PrivateNetwork"] == ["yes"]
    assert said["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert said["IPAddressDeny"] == ["any"]
    assert said["ReadWritePaths"] == ["/var/lib/ceus/%i/.ceus /var/lib/ceus/%i/records /run/ceus"]
    assert said["InaccessiblePaths"] == ["/var/lib/ceus/%i/courier"]


def test_the_courier_sees_its_keys_alone() -> None:
    said = service(COURIER)
    assert said["TemporaryFileSystem"] == ["/var/lib/ceus:ro"]  # in the place of every site's folder
    assert said["BindReadOnlyPaths"] == ["/var/lib/ceus/%i/courier"]
    assert said["BindPaths"] == ["/var/lib/ceus/%i/courier/state"]
    assert "ReadWritePaths" not in said


def test_courier_and_worker_are_two_users_and_share_the_group_of_the_socket() -> None:
    courier, worker = service(COURIER), service(WORKER)
    assert courier["User"] != worker["User"]
    assert courier["Group"] != worker["Group"]
    assert courier["SupplementaryGroups"] == worker["SupplementaryGroups"] == ["ceus-socket"]
    folders = (DOCKER / "systemd" / "ceus.tmpfiles.conf").read_text(encoding="utf-8")
    assert "d /run/ceus 2711 ceus-worker ceus-socket -" in folders.splitlines()


def test_every_user_of_a_service_is_made() -> None:
    made = re.findall(r"^[ug] (\S+)", (DOCKER / "systemd" / "ceus.sysusers.conf").read_text(encoding="utf-8"), re.M)
    for name in units():
        said = service(name)
        assert {*said["User"], *said["Group"], *said.get("SupplementaryGroups", [])} <= set(made)


def test_the_coordinator_reaches_itself_alone_and_not_the_key_of_the_ca() -> None:
    said = service(COORDINATOR)
    assert (said["IPAddressDeny"], said["IPAddressAllow"]) == (["any"], ["localhost"])
    for name in (COORDINATOR, FRONT, CONSOLE):
        assert "-/var/lib/ceus-study/ca/ca.key" in service(name)["InaccessiblePaths"][0].split()


def test_the_console_is_reached_from_this_machine_alone_and_sees_no_key() -> None:
    said = service(CONSOLE)
    assert (said["IPAddressDeny"], said["IPAddressAllow"]) == (["any"], ["localhost"])
    assert said["ReadWritePaths"] == ["/var/lib/ceus-study"]
    hidden = {path.rpartition("/")[2] for line in said["InaccessiblePaths"] for path in line.split()}
    assert hidden == {"ca.key", "front.key", "superlink.key", "superexec.secret"}
