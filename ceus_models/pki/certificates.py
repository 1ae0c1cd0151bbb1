"""X.509 certificates as both sides check them: whose they are, who issued them, and whether the clock is in them."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ceus_models.pki.keys import PublicKey
from ceus_models.runtime.errors import ExpectedError

WARN = timedelta(days=30)
"""From so long before the end, every status says so."""
Certificate = x509.Certificate


class CertificateFault(ExpectedError):
    """A certificate that is not taken; the text says the cause and the remedy."""


def read_certificate(pem: bytes, what: str) -> Certificate:
    """The certificate in PEM. Raises CertificateFault. what: how a message calls it."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateFault(f"{what} is damaged or no certificate; restore it, or ask for it again") from None


def pem_of(certificate: Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_of(certificate: Certificate, what: str) -> PublicKey:
    """The certified key. Raises CertificateFault if it is of another kind than ours."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateFault(f"{what} is for a key that is not ours; ask the coordinator for a new kit")
    return key


def check_times(certificate: Certificate, what: str, now: datetime, renewal: str) -> None:
    """Raises CertificateFault outside its validity, with both readings of why. renewal: how to get a new one."""
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < starts:
        raise CertificateFault(
            f"{what} is valid from {_day(starts)}, and this machine's clock says {_day(now)}: the clock is behind; set "
            "it by NTP (`timedatectl set-ntp true`) and try again"
        )
    if now > ends:
        raise CertificateFault(
            f"{what} expired on {_day(ends)}, and this machine's clock says {_day(now)}; if the clock is right, "
            f"{renewal}; if it is ahead, set it by NTP (`timedatectl set-ntp true`)"
        )


def check_issued(certificate: Certificate, ca: Certificate, what: str) -> None:
    """Raises CertificateFault unless `ca` issued the certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateFault(
            f"{what} was not issued by this federation's CA; ask this federation's coordinator for a new kit"
        ) from None


def check_is_ca(certificate: Certificate) -> None:
    """Raises CertificateFault unless the certificate may issue others."""
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise CertificateFault("the kit's CA certificate is none; ask this federation's coordinator for a new kit")


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
