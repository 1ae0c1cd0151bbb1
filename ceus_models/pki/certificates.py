"""Checks of X.509 certificates that both sides need: key, issuer and validity."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ceus_models.pki.keys import PublicKey
from ceus_models.runtime.errors import ExpectedError

WARN = timedelta(days=30)
"""A status warns from this time before a certificate expires."""
Certificate = x509.Certificate


class CertificateFault(ExpectedError):
    """A certificate that was refused; the text says the cause and the fix."""


def read_certificate(pem: bytes, what: str) -> Certificate:
    """Parse a certificate in PEM; `what` is its name in messages. Raises CertificateFault."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateFault(
            f"expected a certificate, {what} is damaged or none; restore it, or ask for it again"
        ) from None


def pem_of(certificate: Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_of(certificate: Certificate, what: str) -> PublicKey:
    """The public key in a certificate. Raises CertificateFault unless it is an elliptic-curve key."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateFault(
            f"expected an elliptic-curve key, {what} has another kind; ask the coordinator for a new kit"
        )
    return key


def check_times(certificate: Certificate, what: str, now: datetime, renewal: str) -> None:
    """Raise CertificateFault outside the validity; it names both causes, the clock and the certificate.

    Args:
        certificate: to check.
        what: its name in messages.
        now: time of this machine.
        renewal: how to get a new certificate, for the message.
    """
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < starts:
        raise CertificateFault(
            f"{what} is valid from {_day(starts)}, this machine's clock shows {_day(now)}: "
            "the clock is behind; set it by NTP (`timedatectl set-ntp true`) and try again"
        )
    if now > ends:
        raise CertificateFault(
            f"{what} expired on {_day(ends)}, this machine's clock shows {_day(now)}; "
            f"if the clock is right, {renewal}; if it is ahead, set it by NTP (`timedatectl set-ntp true`)"
        )


def check_issued(certificate: Certificate, ca: Certificate, what: str) -> None:
    """Raise CertificateFault unless `ca` issued the certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateFault(
            f"{what} was not issued by this federation's CA; ask this federation's coordinator for a new kit"
        ) from None


def check_is_ca(certificate: Certificate) -> None:
    """Raise CertificateFault unless the certificate is a CA certificate."""
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise CertificateFault(
            "expected a CA certificate, the kit has another kind; ask this federation's coordinator for a new kit"
        )


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
