"""What a site takes for its kit, and every kit that it does not take."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from made_federation import DAY, NOW, VERSIONS, Lab, digest, lab

from ceus_models.pki.certificates import CertificateError, format_pem
from ceus_models.pki.enrolment import COORDINATOR_ROLE, KIT
from ceus_models.pki.keys import KeyFileError, generate_key, parse_public_key
from ceus_models.pki.signed_documents import DocumentError, read_document, sign_document
from ceus_models.runtime.errors import ExpectedError
from client.courier.folder import CourierFolder
from client.courier.kit import JoinFault, install_kit, load_kit
from server.federation.enrolment import renew_site, write_kit
from server.federation.site_register import change_register


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


@pytest.fixture
def courier(made: Lab, tmp_path: Path) -> CourierFolder:
    return made.site(tmp_path / "s")


@pytest.fixture
def kit(made: Lab, courier: CourierFolder) -> Path:
    return made.enrol(courier.request)


def rewritten(made: Lab, path: Path, **changes: object) -> Path:
    """The kit with other content, signed by the coordinator as always."""
    content = {**read_document(path, KIT).content, **changes}
    path.write_bytes(sign_document(KIT, content, {COORDINATOR_ROLE: made.office().authority.key}))
    return path


def refused(made: Lab, courier: CourierFolder, kit: Path, kind: type[ExpectedError], said: str) -> None:
    before = {path: digest(path.read_bytes()) for path in courier.folder.iterdir() if path.is_file()}
    with pytest.raises(kind, match=said):
        made.join(courier, kit)
    assert {path: digest(path.read_bytes()) for path in courier.folder.iterdir() if path.is_file()} == before


def test_joining_installs_all_that_the_courier_needs(made: Lab, courier: CourierFolder, kit: Path) -> None:
    joined = made.join(courier, kit)
    assert courier.ca.read_bytes() == made.home.ca.read_bytes()
    assert len(courier.superexec_secret.read_bytes()) == 32
    assert courier.superexec_secret.stat().st_mode & 0o777 == 0o600
    assert load_kit(courier, NOW) == joined
    secret = courier.superexec_secret.read_bytes()
    assert made.join(courier, kit) == joined  # again changes nothing
    assert courier.superexec_secret.read_bytes() == secret


def test_a_kit_changed_on_its_way_is_refused(made: Lab, courier: CourierFolder, kit: Path) -> None:
    kit.write_bytes(kit.read_bytes().replace(b"localhost:18443", b"evil.test:18443"))
    refused(made, courier, kit, JoinFault, "changed after the coordinator signed it")


def test_a_kit_of_another_ca_is_refused_even_with_the_right_name(
    made: Lab, courier: CourierFolder, kit: Path, tmp_path: Path
) -> None:
    """Somebody in between who answers the request with a CA of his own."""
    thief = lab(tmp_path / "thief")
    key = parse_public_key(str(read_document(kit, KIT).content["public_key"]))
    office = thief.office()
    forged = {
        "ca_certificate": thief.home.ca.read_text(),
        "site_certificate": format_pem(office.authority.site(key, "site-01", NOW, DAY)).decode(),
    }
    refused(
        made,
        courier,
        rewritten(thief, kit, **forged),
        JoinFault,
        "which is not this federation's.*somebody else made it",
    )


def test_a_certificate_of_another_ca_is_refused(made: Lab, courier: CourierFolder, kit: Path, tmp_path: Path) -> None:
    other = lab(tmp_path / "other").joined(tmp_path / "o")
    theirs = read_document(other.kit, KIT).content["site_certificate"]
    refused(
        made,
        courier,
        rewritten(made, kit, site_certificate=theirs),
        CertificateError,
        "not issued by this federation's CA",
    )


def test_the_kit_of_another_federation_is_refused(made: Lab, courier: CourierFolder, tmp_path: Path) -> None:
    other = lab(tmp_path / "other")
    theirs = other.enrol(other.site(tmp_path / "o").request)
    refused(made, courier, theirs, JoinFault, "the kit is of the federation lab:")


def test_the_kit_of_another_site_is_refused(made: Lab, courier: CourierFolder, tmp_path: Path) -> None:
    theirs = made.enrol(made.site(tmp_path / "o", "site-02").request)
    refused(made, courier, theirs, JoinFault, "the kit is for site-02, this site is site-01")


def test_the_answer_to_another_request_is_refused(made: Lab, courier: CourierFolder, kit: Path) -> None:
    refused(
        made, courier, rewritten(made, kit, nonce="0" * 64), JoinFault, "answers another request than this site's last"
    )


def test_a_certificate_for_another_key_is_refused(made: Lab, courier: CourierFolder, kit: Path) -> None:
    certificate = made.office().authority.site(generate_key().public_key(), "site-01", NOW, DAY)
    change = rewritten(made, kit, site_certificate=format_pem(certificate).decode())
    refused(made, courier, change, JoinFault, "certificate is for another key")


def test_a_stale_kit_is_named_as_such(made: Lab, courier: CourierFolder, kit: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.json"
    first.write_bytes(kit.read_bytes())
    made.join(courier, kit)
    with change_register(made.home) as register:
        office = made.office()
        made.join(courier, write_kit(renew_site("site-01", office, register), office))
    refused(made, courier, first, JoinFault, "this is kit 1 of this site, and kit 2 is installed: it is stale")


def test_a_renewed_kit_changes_neither_key_nor_ca_nor_secret(made: Lab, courier: CourierFolder, kit: Path) -> None:
    """So the running node goes on: nothing that it has read is different."""
    made.join(courier, kit)
    files = (courier.key, courier.ca, courier.superexec_secret)
    before = [digest(path.read_bytes()) for path in files]
    later = made.at(NOW + 340 * DAY)
    with change_register(made.home) as register:
        office = later.office()
        renewed = later.join(courier, write_kit(renew_site("site-01", office, register), office))
    assert [digest(path.read_bytes()) for path in files] == before
    assert load_kit(courier, NOW + 400 * DAY) == renewed


@pytest.mark.parametrize(
    ("shift", "kind", "said"),
    [
        (timedelta(minutes=-30), JoinFault, "made 30 min in the future: this machine's clock is behind.*NTP"),
        (
            366 * DAY,
            CertificateError,
            "the site's certificate expired on .*if the clock is right.*new kit.*ahead, set it",
        ),
        (8000 * DAY, CertificateError, "CA certificate expired"),
    ],
)
def test_a_clock_that_is_off_or_an_expired_kit_is_named(
    made: Lab, courier: CourierFolder, kit: Path, shift: timedelta, kind: type[ExpectedError], said: str
) -> None:
    refused(made.at(NOW + shift), courier, kit, kind, said)
    made.join(courier, kit)
    with pytest.raises(kind, match=said):
        load_kit(courier, NOW + shift)


def test_other_versions_are_refused(made: Lab, courier: CourierFolder, kit: Path) -> None:
    with pytest.raises(JoinFault, match="protocol 2 here, 1 there; install"):
        install_kit(courier, kit, VERSIONS.model_copy(update={"protocol": 2}), NOW)


def test_a_site_that_made_no_request_takes_no_kit(made: Lab, kit: Path, tmp_path: Path) -> None:
    with pytest.raises(JoinFault, match="has made no request.*ceus-site keys"):
        made.join(CourierFolder(tmp_path / "none"), kit)
    with pytest.raises(JoinFault, match="not joined a federation.*ceus-site join"):
        load_kit(CourierFolder(tmp_path / "none"), NOW)


def test_a_site_without_its_key_takes_no_kit(made: Lab, courier: CourierFolder, kit: Path) -> None:
    courier.key.unlink()
    with pytest.raises(JoinFault, match="private key of this kit is not in this folder"):
        made.join(courier, kit)
    made_again = made.site(courier.folder.parent, "site-01")
    with pytest.raises(JoinFault, match="answers another request"):
        made.join(made_again, kit)


def test_a_join_that_was_cut_off_can_be_repeated(made: Lab, courier: CourierFolder, kit: Path) -> None:
    made.join(courier, kit)
    made.site(courier.folder.parent, renew=True)
    renewed = made.enrol(courier.request)
    courier.key.write_bytes(courier.next_key.read_bytes())  # killed between the key and the kit
    with pytest.raises(JoinFault, match="kit is for another key.*join again with the newest kit"):
        load_kit(courier, NOW)
    assert made.join(courier, renewed) == load_kit(courier, NOW)
    assert not courier.next_key.exists()


def test_an_open_key_and_a_request_for_a_kit_are_refused(made: Lab, courier: CourierFolder, kit: Path) -> None:
    refused(made, courier, courier.request, DocumentError, "expected a kit")
    courier.key.chmod(0o644)
    refused(made, courier, kit, KeyFileError, "open to other users")


@pytest.mark.parametrize(
    "changes",
    [
        {"instructions": ["run this\x1b[1A\x1b[2K"]},
        {"instructions": ["one line\nand a second that looks like ours"]},
        {"address": "a\x07:443"},
        {"site": "site\u202e-01"},
    ],
    ids=ascii,
)
def test_a_kit_that_a_terminal_would_obey_is_refused(
    made: Lab, courier: CourierFolder, kit: Path, changes: dict[str, object]
) -> None:
    refused(made, courier, rewritten(made, kit, **changes), DocumentError, "control characters|is not as this version")
