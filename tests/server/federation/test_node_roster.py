"""The SuperLink's nodes are made equal to the register."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from made_federation import DAY, NOW, Lab, lab

from ceus_models.pki.certificates import CertificateError
from ceus_models.pki.keys import fingerprint, format_public_pem, generate_key, parse_public_pem, read_private_key
from server.federation.enrolment import revoke
from server.federation.federation_file import load_federation
from server.federation.node_roster import is_up, open_control, synchronise
from server.federation.site_register import change_register, read_register


@dataclass
class FakeControl:
    nodes: dict[bytes, int] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)

    def keys(self) -> dict[bytes, int]:
        return dict(self.nodes)

    def admit(self, public_key: bytes, site: str) -> None:
        assert public_key not in self.gone, "Flower takes no key again"
        self.nodes[public_key] = len(self.nodes) + len(self.gone) + 1

    def dismiss(self, node: int) -> None:
        found = next(key for key, number in self.nodes.items() if number == node)
        del self.nodes[found]
        self.gone.add(found)

    def marks(self) -> set[str]:
        keys = [parse_public_pem(pem) for pem in self.nodes]
        return {fingerprint(key) for key in keys if key}


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def agreed(control: FakeControl, made: Lab, days: int = 0) -> list[str]:
    return synchronise(control, read_register(made.home), NOW + days * DAY)  # type: ignore[arg-type]


def test_who_is_enrolled_gets_in_once(made: Lab, tmp_path: Path) -> None:
    couriers = [made.joined(tmp_path / name, name) for name in ("site-01", "site-02")]
    control = FakeControl()
    assert [line.split(" (")[0] for line in agreed(control, made)] == ["let in site-01", "let in site-02"]
    assert control.marks() == {fingerprint(read_private_key(c.key, "it").public_key()) for c in couriers}
    assert agreed(control, made) == []


def test_who_is_revoked_or_expired_is_shut_out(made: Lab, tmp_path: Path) -> None:
    for name in ("site-01", "site-02"):
        made.joined(tmp_path / name, name)
    control = FakeControl()
    agreed(control, made)
    with change_register(made.home) as register:
        revoke("site-01", "", register, NOW)
    assert [line.split(" (")[0] for line in agreed(control, made)] == ["shut out site-01"]
    assert [line.split(" (")[0] for line in agreed(control, made, 366)] == ["shut out site-02"]
    assert control.marks() == set()


def test_a_key_that_came_past_the_front_door_is_shut_out(made: Lab) -> None:
    control = FakeControl()
    control.admit(format_public_pem(generate_key().public_key()), "intruder")
    assert [line.split(" (")[0] for line in agreed(control, made)] == ["shut out a key that nobody enrolled"]


def test_both_keys_of_a_renewal_are_in_until_the_grace_is_over(made: Lab, tmp_path: Path) -> None:
    courier = made.joined(tmp_path / "s")
    control = FakeControl()
    agreed(control, made)
    made.site(tmp_path / "s", renew=True)
    made.enrol(courier.request)
    agreed(control, made)
    assert len(control.marks()) == 2
    agreed(control, made, 15)
    assert control.marks() == {fingerprint(read_private_key(courier.next_key, "it").public_key())}


def test_a_clock_that_is_years_off_shuts_nobody_out(made: Lab) -> None:
    federation = load_federation(made.home.federation)
    with pytest.raises(CertificateError, match=r"front door's certificate expired.*ahead, set it by NTP"):
        open_control(made.home, federation, NOW + 1000 * DAY).__enter__()


def test_a_superlink_that_is_down_is_known_at_once(made: Lab) -> None:
    federation = load_federation(made.home.federation)
    assert not is_up(federation.model_copy(update={"superlink_port": 9}))
