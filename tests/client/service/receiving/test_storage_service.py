"""Real associations on loopback: who may send what, what is answered, and what becomes of a study."""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dicom_sender import send
from made_export import ID, write_clip
from receiver import Receiver

from tests.support.small_disk import fill, small_disk


def make_clips(folder: Path, count: int, study: str = "1.2.3") -> list[Path]:
    return [write_clip(folder / f"{study}-{number}", number, StudyInstanceUID=study) for number in range(count)]


def test_whole_studies_arrive_and_nothing_told_names_a_patient(tmp_path: Path) -> None:
    with Receiver(tmp_path / "site").running() as receiver:
        answer = send(receiver.port, make_clips(tmp_path, 3) + make_clips(tmp_path, 2, "1.2.4"))
        assert (answer.echo, answer.statuses) == (0, [0] * 5)
        receiver.wait_for("arrived")
    assert receiver.list_studies() == [2, 3]
    assert (receiver.count_waiting(), receiver.errors) == (0, b"")
    assert not any(secret in str(receiver.told) for secret in (ID, "1.2.3"))


@pytest.mark.parametrize(
    "asked", [{"title": "STRANGER"}, {"receiver": "OTHER"}, {}], ids=["title", "called", "address"]
)
def test_who_is_not_listed_is_refused(tmp_path: Path, asked: dict[str, str]) -> None:
    only = {} if asked else {"callers": [{"title": "PACS", "address": "10.9.8.7"}]}
    with Receiver(tmp_path / "site", **only).running() as receiver:
        answer = send(receiver.port, make_clips(tmp_path, 1), **asked)
        assert (answer.established, answer.rejected, answer.statuses) == (False, True, [None])
    assert receiver.count("refused") == 1
    assert receiver.count_waiting() == 0


def test_nothing_but_ultrasound(tmp_path: Path) -> None:
    foreign = write_clip(tmp_path / "ct", 1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", Modality="CT")
    without_study = write_clip(tmp_path / "liar", 1, StudyInstanceUID="")
    with Receiver(tmp_path / "site").running() as receiver:
        assert send(receiver.port, [foreign, without_study]).statuses == ["no context", 0xA900]
        assert receiver.count_waiting() == 0
    assert receiver.count("object refused") == 1


def test_a_study_whose_association_broke_off_waits_for_its_rest(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 4)
    with Receiver(tmp_path / "site").running() as receiver:
        assert send(receiver.port, clips[:2], aborts=True).statuses == [0, 0]
        receiver.wait_for("not whole")
        time.sleep(2.5)
        assert receiver.list_studies() == [], "half a study never arrives"
        assert send(receiver.port, clips[2:]).statuses == [0, 0]
        receiver.wait_for("arrived")
    assert receiver.list_studies() == [4], "what was acknowledged is there"


def test_beyond_the_quota_the_sender_is_told_and_the_study_is_not_whole(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 4)
    room = 2.5 * clips[0].stat().st_size / 2**30
    with Receiver(tmp_path / "site", max_gib=room).running() as receiver:
        assert send(receiver.port, clips).statuses == [0, 0, 0xA700, 0xA700]
        receiver.wait_for("not whole")
        time.sleep(2.5)
        assert receiver.list_studies() == []


def test_an_object_beyond_its_limit_is_broken_off(tmp_path: Path) -> None:
    with Receiver(tmp_path / "site", max_clip_gib=1e-5).running() as receiver:
        assert 0 not in send(receiver.port, make_clips(tmp_path, 1)).statuses
        receiver.wait_for("broken off")
    assert receiver.count("broken off") == 1
    assert receiver.count_waiting() == 0


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    clips = make_clips(tmp_path, 3)
    receiver = Receiver(tmp_path / "site", min_free_gib=1 / 1024)
    with small_disk(receiver.folder, 12), receiver.running():
        assert send(receiver.port, clips[:1]).statuses == [0]
        ballast = fill(receiver.folder)
        assert send(receiver.port, clips[1:2]).statuses != [0]
        time.sleep(2.5)
        ballast.unlink()
        before = receiver.list_studies()
        assert send(receiver.port, clips).statuses == [0, 0, 0]
        receiver.wait_for("arrived", 2 if before else 1)
        assert receiver.list_studies() == sorted([*before, 3])


def write_certificates(folder: Path) -> None:
    """One self-signed certificate, which is its own authority, and a second one that nobody knows."""
    for name in ("known", "unknown"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(private)


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    receiver = Receiver(
        tmp_path / "site", tls={"certificate": "known.pem", "key": "known.key", "authority": "known.pem"}
    )
    write_certificates(receiver.folder)
    clips = make_clips(tmp_path, 1)
    with receiver.running():
        assert send(receiver.port, clips, tls=(str(receiver.folder), "known")).statuses == [0]
        for tls in (None, (str(receiver.folder), "unknown")):
            assert send(receiver.port, clips, tls=tls).statuses == [None]
        receiver.wait_for("arrived")


def test_what_it_cannot_listen_with_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    """Files of TLS that are not there, and a port that is taken."""
    receiver = Receiver(tmp_path / "site", tls={"certificate": "no.pem", "key": "no.key"})
    receiver.start()
    receiver.wait_for("error")
    assert "in PEM" in receiver.told[-1]["said"]
    with Receiver(tmp_path / "one").running() as one:
        other = Receiver(tmp_path / "other", port=one.port)
        other.start()
        other.wait_for("error")
        assert "another address or port" in other.told[-1]["said"]
        other.end()
    receiver.end()
