"""Checks of X.509 certificates that both sides need: key, issuer and validity."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ceus_models.pki.keys import PublicKey
from ceus_models.runtime.errors import ExpectedError

EXPIRY_WARNING = timedelta(days=30)
"""A status warns from this time before a certificate expires."""
Certificate = x509.Certificate


class CertificateError(ExpectedError):
    """A certificate that was refused; the text says the cause and the fix."""


def parse_certificate(pem: bytes, what: str) -> Certificate:
    """Parse a certificate in PEM; `what` is its name in messages. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateError(
            f"expected a certificate, {what} is damaged or none; restore it, or ask for it again"
        ) from None


def format_pem(certificate: Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def extract_key(certificate: Certificate, what: str) -> PublicKey:
    """The public key in a certificate. Raises CertificateError unless it is an elliptic-curve key."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateError(
            f"expected an elliptic-curve key, {what} has another kind; ask the coordinator for a new kit"
        )
    return key


def check_times(certificate: Certificate, what: str, now: datetime, renewal: str) -> None:
    """Raise CertificateError outside the validity; it names both causes, the clock and the certificate.

    Args:
        certificate: to check.
        what: its name in messages.
        now: time of this machine.
        renewal: how to get a new certificate, for the message.
    """
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < starts:
        raise CertificateError(
            f"{what} is valid from {_format_time(starts)}, "
            f"this machine's clock shows {_format_time(now)}: the clock is behind; set it "
            "by NTP (`timedatectl set-ntp true`) and try again"
        )
    if now > ends:
        raise CertificateError(
            f"{what} expired on {_format_time(ends)}, "
            f"this machine's clock shows {_format_time(now)}; if the clock is right, "
            f"{renewal}; if it is ahead, set it by NTP (`timedatectl set-ntp true`)"
        )


def check_issued(certificate: Certificate, ca: Certificate, what: str) -> None:
    """Raise CertificateError unless `ca` issued the certificate."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateError(
            f"{what} was not issued by this federation's CA; ask this federation's coordinator for a new kit"
        ) from None


def check_is_ca(certificate: Certificate) -> None:
    """Raise CertificateError unless the certificate is a CA certificate."""
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = False
    if not is_ca:
        raise CertificateError(
            "expected a CA certificate, the kit has another kind; ask this federation's coordinator for a new kit"
        )


def _format_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
