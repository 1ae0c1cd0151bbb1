"""Keys in the forms that Flower and OpenSSH read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, uses_nist_ec_curve

from ceus_models.pki.keys import (
    KeyFileError,
    fingerprint,
    format_public_key,
    format_public_pem,
    generate_key,
    is_valid_signature,
    parse_public_key,
    parse_public_pem,
    read_private_key,
    sign_bytes,
    write_private_key,
)


def test_a_key_outlasts_the_disk_and_flower_reads_both_halves(tmp_path: Path) -> None:
    key = generate_key()
    write_private_key(tmp_path / "k", key)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert read_private_key(tmp_path / "k", "it").private_numbers() == key.private_numbers()
    theirs = serialization.load_ssh_private_key((tmp_path / "k").read_bytes(), None)  # as flower-supernode does
    assert isinstance(theirs, ec.EllipticCurvePrivateKey)
    assert uses_nist_ec_curve(bytes_to_public_key(format_public_pem(key.public_key())))
    assert parse_public_key(format_public_key(key.public_key())) == key.public_key()
    assert parse_public_pem(format_public_pem(key.public_key())) == key.public_key()
    assert parse_public_pem(b"nonsense") is None


def test_a_fingerprint_can_be_read_aloud_and_is_the_keys_own() -> None:
    one, other = generate_key().public_key(), generate_key().public_key()
    assert re.fullmatch(r"([0-9a-f]{4}-){7}[0-9a-f]{4}", fingerprint(one))
    assert fingerprint(one) == fingerprint(parse_public_key(format_public_key(one))) != fingerprint(other)


def test_a_signature_is_of_this_key_and_these_bytes() -> None:
    key = generate_key()
    mark = sign_bytes(key, b"data")
    assert is_valid_signature(key.public_key(), b"data", mark)
    assert not is_valid_signature(key.public_key(), b"datA", mark)
    assert not is_valid_signature(generate_key().public_key(), b"data", mark)
    assert not is_valid_signature(key.public_key(), b"data", b"")


def test_other_kinds_of_keys_are_refused(tmp_path: Path) -> None:
    theirs = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PublicFormat.OpenSSH
    with pytest.raises(KeyFileError, match="P-384"):
        parse_public_key(theirs.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode())
    with pytest.raises(KeyFileError, match="expected a public key"):
        parse_public_key("ssh-rsa AAAA")
    content = theirs.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(KeyFileError, match="expected a key on NIST P-384"):
        read_private_key(tmp_path / "k", "it")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.chmod(0o640), "open to other users.*chmod 600"),
        (lambda path: path.write_bytes(path.read_bytes()[:-60]), "damaged.*restore"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_key_file_that_cannot_be_trusted_is_refused(tmp_path: Path, change, said: str) -> None:  # type: ignore[no-untyped-def]
    write_private_key(tmp_path / "k", generate_key())
    change(tmp_path / "k")
    with pytest.raises(KeyFileError, match=said):
        read_private_key(tmp_path / "k", "it")
