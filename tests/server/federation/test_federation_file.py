"""federation.yaml: all faults at once, with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import FaultList
from server.federation.federation_file import load_federation

ROOT = Path(__file__).parents[3]
GOOD = "schema: 1\nname: lab\naddress: fl.example.org:443\n"


def loaded(folder: Path, text: str):  # type: ignore[no-untyped-def]
    path = folder / "federation.yaml"
    path.write_text(text)
    return load_federation(path)


def test_the_example_is_good() -> None:
    found = load_federation(ROOT / "configs" / "federation.example.yaml")
    assert (found.host, found.port, found.superlink_port) == ("fl.example.org", 443, 8000)


@pytest.mark.parametrize("address", ["192.0.2.7:8443", "[2001:db8::1]:443", "localhost:1"])
def test_addresses_are_names_or_numbers_with_a_port(tmp_path: Path, address: str) -> None:
    found = loaded(tmp_path, f'schema: 1\nname: lab\naddress: "{address}"\n')
    assert f"{found.host}:{found.port}" == address.replace("[", "").replace("]", "")


@pytest.mark.parametrize(
    "address",
    [
        "fl.example.org",
        "https://fl.example.org:443",
        "a b:1",
        "x:0",
        "x:70000",
        "300.1.1.1:443",
        "::1:443",
        "[fl.example.org]:443",
        "[fe80::1%eth0]:443",
        "[::1:443",
    ],
)
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(FaultList, match=r"yaml line 3, address: address must be host:port"):
        loaded(tmp_path, f'schema: 1\nname: lab\naddress: "{address}"\n')


def test_all_faults_come_together_with_their_lines(tmp_path: Path) -> None:
    text = "schema: 1\nname: la b\nadress: x\nnames: [a/b]\nsites: [one, one]\nserver_days: 1\nserver_days: 2.5\n"
    with pytest.raises(FaultList) as error:
        loaded(tmp_path, text)
    said = str(error.value)
    for line in (
        "yaml line 1, address: missing key; add it",
        "yaml line 2, name: a name has 1 to 63 letters, digits and hyphens",
        "yaml line 3, adress: unknown key",
        "yaml line 4, names: a name is a DNS name or an IP address without port, found 'a/b'",
        "yaml line 5, sites: a site stands once, found one twice; delete one",
        "yaml line 6, server_days: a key stands once, found it again on line 7; delete one of the two",
    ):
        assert line in said, said
    assert len(said.splitlines()) == 8


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FaultList, match=r"federation\.yaml line (1|2)"):
        loaded(tmp_path, text)


def test_a_missing_file_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(FaultList, match="the file exists and can be read, found No such file"):
        load_federation(tmp_path / "federation.yaml")
