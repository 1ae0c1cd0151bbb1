"""A changed address cuts nobody off: the old one holds for a time, and both sides say who must change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from made_federation import DAY, FEDERATION, NOW, Lab, lab
from real_coordinator import NGINX, answers, ports, wait

from ceus_models.pki.certificates import parse_certificate
from ceus_models.pki.enrolment import read_versions, utc_now
from ceus_models.protocol.messages import PROTOCOL
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from client.courier.connectivity import _describe_move, probe_coordinator
from client.courier.kit import install_kit, load_kit
from client.service.watchdogs import KitWatch
from server.cli.main import app
from server.federation.addresses import OVERLAP, find_stale_kits, read_former
from server.federation.expiry import summarize_validity
from server.federation.federation_file import load_federation
from server.federation.founding import set_up_federation
from server.federation.site_register import read_register

NEW = "fl.example.org:18444"


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    """Two sites that dial localhost:18443."""
    found = lab(tmp_path / "co")
    for name in ("site-01", "site-02"):
        found.joined(tmp_path / name, name)
    return found


def move(made: Lab, address: str = NEW) -> tuple[str, ...]:
    made.home.federation.write_text(FEDERATION.replace("localhost:18443", address))
    return set_up_federation(made.home.folder, None, made.now).told


def names(made: Lab) -> set[str]:
    found = parse_certificate(made.home.front.read_bytes(), "it")
    return {str(one.value) for one in found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def test_the_old_name_and_port_hold_and_who_has_them_is_said(made: Lab) -> None:
    assert names(made) == {"localhost", "127.0.0.1"}
    told = move(made)
    assert names(made) == {"fl.example.org", "localhost", "127.0.0.1"}
    conf = made.home.nginx.read_text()
    assert "listen 18444 ssl;" in conf
    assert "listen 18443 ssl;" in conf
    until = f"{NOW + OVERLAP:%Y-%m-%d}"
    assert f"kept the former address localhost:18443 open until {until}" in told
    assert [line.split()[0] for line in told[-2:]] == ["site-01", "site-02"]
    valid = summarize_validity(made.home, load_federation(made.home.federation), read_register(made.home), NOW)
    assert {line.standing for line in valid.sites} == {"moved"}
    assert f"its kit has localhost:18443, which holds until {until}; run `ceus-coordinator renew" in valid.warnings[0]
    assert move(made)[-4:] == told[-4:], "asked again, nothing is other"


def test_renew_takes_stale_kits_along(made: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    move(made)
    assert run_app(app, ["renew", str(made.home.folder)]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert said.count("with the address fl.example.org:18444 in place of localhost:18443") == 2
    federation = load_federation(made.home.federation)
    assert find_stale_kits(made.home, federation, read_register(made.home), NOW) == {}
    assert [one.address for one in read_former(made.home, federation, NOW)] == ["localhost:18443"]
    assert "localhost" in names(made), "the new kits are on their way"


def test_after_the_time_the_old_address_goes_unless_a_kit_still_has_it(made: Lab) -> None:
    move(made)
    later = made.at(NOW + OVERLAP + DAY)
    move(later)
    assert "localhost" in names(made), "two sites have no other kit"
    assert run_app(app, ["renew", str(made.home.folder)]) == 0
    end = made.at(NOW + 3 * OVERLAP)
    assert not any("former" in line for line in move(end))
    assert names(made) == {"fl.example.org", "127.0.0.1"}
    assert "18443" not in made.home.nginx.read_text()


def test_an_address_that_comes_back_is_no_former_one(made: Lab) -> None:
    move(made)
    told = move(made, "localhost:18443")
    assert "kept the former address fl.example.org:18444 open" in " ".join(told)
    assert [one.address for one in read_former(made.home, load_federation(made.home.federation), NOW)] == [NEW]


def test_a_damaged_list_of_addresses_says_what_to_do(made: Lab) -> None:
    made.home.addresses.write_text("{")
    with pytest.raises(ExpectedError, match=r"addresses\.json is damaged: restore it, or delete it"):
        move(made)


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
def test_a_site_is_told_of_the_new_address_while_the_old_one_holds(tmp_path: Path) -> None:
    old, new = ports(2)
    made = lab(tmp_path / "co", FEDERATION.replace("18443", str(old)))
    made = made.at(max(made.now, utc_now()))
    courier = made.joined(tmp_path / "site-01")
    made.home.federation.write_text(FEDERATION.replace("localhost:18443", f"127.0.0.1:{new}"))
    set_up_federation(made.home.folder, None, made.now)
    nginx = subprocess.Popen([str(NGINX), "-c", str(made.home.nginx), "-g", "daemon off;"], stderr=subprocess.PIPE)
    try:
        wait(lambda: answers(old) and answers(new), 20, "nginx")
        found = probe_coordinator(load_kit(courier, made.now).address, courier.ca, utc_now())
        assert "the coordinator behind it does not run" in found.fault, "the old name and port lead to the door"
        day = f"{made.now + OVERLAP:%Y-%m-%d}"
        assert found.moved == f"the coordinator's address is 127.0.0.1:{new} now, and localhost:{old} holds until {day}"
        said: list[object] = []
        KitWatch(courier, said.append).look(None)  # type: ignore[arg-type]
        assert said == [
            {"event": "kit", "said": f"{found.moved}; ask the coordinator for the new kit, and join with it"}
        ]
        assert run_app(app, ["renew", str(made.home.folder), "site-01"]) == 0
        kit = install_kit(courier, made.home.kit("site-01"), read_versions(PROTOCOL), utc_now())
        assert probe_coordinator(kit.address, courier.ca, utc_now()).moved == ""
    finally:
        nginx.terminate()
        nginx.communicate(timeout=20)


@pytest.mark.parametrize("told", ["", "localhost:1", "x" * 400, "a:1 tomorrow", "<b>:1", "a:1 2027-01-01 b"])
def test_a_header_that_is_none_of_ours_says_nothing(told: str) -> None:
    assert _describe_move(told, "localhost:1") == ""
