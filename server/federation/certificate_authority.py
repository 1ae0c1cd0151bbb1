"""The federation's certificate authority (CA): created once, it issues all certificates."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ceus_models.pki.certificates import (
    Certificate,
    check_is_ca,
    check_times,
    extract_key,
    format_pem,
    parse_certificate,
)
from ceus_models.pki.enrolment import format_federation_id
from ceus_models.pki.keys import PrivateKey, PublicKey, generate_key
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.federation_file import is_address
from server.run_folder.paths import Home

_CA_LIFE = timedelta(days=7305)  # twenty years: longer than any study, so that no run meets its end
_EARLIER = timedelta(minutes=5)  # for clocks that are a little behind
_SHORTEST_PASSPHRASE = 12


class AuthorityError(ExpectedError):
    """The CA cannot be used; the message has the cause and the fix."""


@dataclass(frozen=True, eq=False)
class Authority:
    """A CA: its private key and its certificate."""

    key: PrivateKey
    certificate: Certificate

    def server(self, key: PublicKey, hosts: Sequence[str], now: datetime, life: timedelta) -> Certificate:
        """Issue a server certificate for `hosts` (names and IP addresses)."""
        names = [x509.IPAddress(ipaddress.ip_address(h)) if is_address(h) else x509.DNSName(h) for h in hosts]
        builder = self._issue(key, hosts[0], now, life).add_extension(x509.SubjectAlternativeName(names), False)
        return self._sign(builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def site(self, key: PublicKey, site: str, now: datetime, life: timedelta) -> Certificate:
        """Issue a client certificate for a site's key."""
        return self._sign(self._issue(key, site, now, life), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(self, key: PublicKey, name: str, now: datetime, life: timedelta) -> x509.CertificateBuilder:
        end = min(now + life, self.certificate.not_valid_after_utc)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            _new_builder(name, key, now, end)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(authority, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> Certificate:
        usages = x509.ExtendedKeyUsage([usage])
        return (
            builder.add_extension(_usage(ca=False), True).add_extension(usages, False).sign(self.key, hashes.SHA384())
        )


def make_authority(home: Home, name: str, passphrase: bytes | None, now: datetime) -> Authority:
    """Create a CA in the folder. passphrase: encrypts its key. Raises AuthorityError if it is too short, OSError."""
    if passphrase is not None and len(passphrase) < _SHORTEST_PASSPHRASE:
        raise AuthorityError(
            f"the passphrase must have at least {_SHORTEST_PASSPHRASE} bytes, not {len(passphrase)}; choose another"
        )
    key = generate_key()
    subject = _distinguished_name(f"fedceus {name}")
    builder = _new_builder(f"fedceus {name}", key.public_key(), now, now + _CA_LIFE).issuer_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.add_extension(_usage(ca=True), critical=True).sign(key, hashes.SHA384())
    write_atomically(home.ca_key, _encrypt_key(key, passphrase))
    write_atomically(home.ca, format_pem(certificate), PUBLIC)
    return Authority(key, certificate)


def read_ca(home: Home, now: datetime) -> Certificate:
    """Read and check the CA's certificate. Raises CertificateError or AuthorityError."""
    certificate = parse_certificate(_content(home.ca, "the CA's certificate"), "the CA's certificate")
    check_is_ca(certificate)
    check_times(certificate, "the CA's certificate", now, "start a new federation in a new folder")
    return certificate


def open_authority(home: Home, passphrase: bytes | None, now: datetime) -> Authority:
    """Open the CA with its private key. Raises AuthorityError, with the fix, if that fails."""
    certificate = read_ca(home, now)
    content = _content(home.ca_key, "the CA's key")
    if home.ca_key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AuthorityError(f"the CA's key is open to other users: {home.ca_key}; run `chmod 600` on it")
    encrypted = b"ENCRYPTED" in content
    if encrypted and passphrase is None:
        raise AuthorityError("the CA's key is encrypted; give its passphrase with --passphrase-file FILE")
    try:
        key = serialization.load_pem_private_key(content, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        cause = "the passphrase is wrong, or the file is damaged" if encrypted else "the file is damaged"
        raise AuthorityError(
            f"the CA's key cannot be opened: {cause}; restore it from the backup: {home.ca_key}"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityError(f"the CA's key and certificate do not belong together; restore both: {home.ca.parent}")
    return Authority(key, certificate)


def compute_federation_id(name: str, ca: Certificate) -> str:
    """The federation's id, which sites enter at enrolment."""
    return format_federation_id(name, extract_key(ca, "the CA's certificate"))


def is_encrypted(home: Home) -> bool:
    """Whether the CA's key needs a passphrase; one that cannot be read here needs none."""
    return has_key(home) and b"ENCRYPTED" in home.ca_key.read_bytes()


def has_key(home: Home) -> bool:
    """Whether this process can read the CA's key; a service may not."""
    return os.access(home.ca_key, os.R_OK)


def write_key(path: Path, key: PrivateKey) -> None:
    """Write a server's key as PEM with mode 0600. Raises OSError."""
    write_atomically(path, _encrypt_key(key, None))


def read_key(path: Path) -> PublicKey | None:
    """Read the public part of a key of `write_key`; None if there is no usable one."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _encrypt_key(key: PrivateKey, passphrase: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _content(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(
            f"{what} cannot be read ({error.strerror}): {path}; restore it from the backup. A new CA would make every "
            "site's kit invalid, so none is made in its place"
        ) from None


def _new_builder(name: str, key: PublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_distinguished_name(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _distinguished_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
