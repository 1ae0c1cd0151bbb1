"""How one message is brought to one person, and why it was not."""

from __future__ import annotations

import hashlib
import hmac
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate

import httpx

from ceus_models.runtime.errors import ExpectedError
from server.notices.message import Message, clean_text
from server.notices.notices_file import Notices, Recipient, Smtp, Webhook, read_secret
from server.run_folder.paths import Home

TIMEOUT_S = 10.0
SIGNATURE = "X-Fedceus-Signature"
_LATER = (408, 425, 429)
"""Refusals of a web server that are for a time."""


class DeliveryError(Exception):
    """final: whether it is of no use to try again."""

    def __init__(self, said: str, final: bool = False) -> None:
        """Keep what was said in one line."""
        super().__init__(clean_text(said))
        self.final = final


def deliver(home: Home, notices: Notices, person: Recipient, way: str, message: Message) -> None:
    """Bring a message to a person by `email` or `webhook`. Raises DeliveryError; nothing of an address is in it."""
    try:
        if way == "email" and person.email and notices.smtp:
            _send_mail(home, notices.smtp, person.email, message)
        elif way == "webhook" and person.webhook:
            _post(home, person.webhook, message)
        else:
            raise DeliveryError(f"notices.yaml gives no {way} any more", final=True)
    except ExpectedError as error:
        raise DeliveryError(str(error)) from None


def list_ways(person: Recipient) -> list[str]:
    """By what a person is told."""
    return [way for way in ("email", "webhook") if getattr(person, way)]


def sign(secret: str, seconds: int, body: bytes) -> str:
    """The header by which a receiver knows who posted: HMAC-SHA256 over the time, a full stop and the body."""
    code = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={code}"


def _send_mail(home: Home, smtp: Smtp, to: str, message: Message) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = smtp.sender, to, message.title
    mail["Date"] = formatdate(message.at)
    mail["Message-ID"] = f"<{message.id}@{smtp.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.as_text())
    try:
        with _connect(home, smtp) as server:
            if smtp.user is not None and smtp.password_file is not None:
                server.login(smtp.user, read_secret(home, smtp.password_file))
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise DeliveryError(f"the mail server refused the address: {code} {_decode(said)}", code >= 500) from None
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(f"the mail server refused: {error.smtp_code} {_decode(error.smtp_error)}") from None
    except smtplib.SMTPServerDisconnected:
        raise DeliveryError(f"the mail server hung up, or did not answer within {TIMEOUT_S:g} s") from None
    except smtplib.SMTPException as error:
        raise DeliveryError(f"the mail server cannot be used: {error}") from None
    except OSError as error:
        raise DeliveryError(_describe_network("the mail server", error)) from None


@contextmanager
def _connect(home: Home, smtp: Smtp) -> Iterator[smtplib.SMTP]:
    trusted = _load_trusted(home, smtp.ca_file)
    if smtp.security == "tls":
        with smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_S, context=trusted) as server:
            yield server
        return
    with smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S) as server:
        if smtp.security == "starttls":
            server.starttls(context=trusted)
        yield server


def _post(home: Home, hook: Webhook, message: Message) -> None:
    body = message.as_json()
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Fedceus-Id": message.id}
    if hook.secret_file is not None:
        headers[SIGNATURE] = sign(read_secret(home, hook.secret_file), int(time.time()), body)
    trusted = _load_trusted(home, hook.ca_file)
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, verify=trusted) as client,
            client.stream("POST", hook.url, content=body, headers=headers) as answer,  # its body is not read
        ):
            code = answer.status_code
    except httpx.TimeoutException:
        raise DeliveryError(f"the web server did not answer within {TIMEOUT_S:g} s") from None
    except httpx.TransportError as error:
        raise DeliveryError(_describe_network("the web server", error)) from None
    if not 200 <= code < 300:
        raise DeliveryError(f"the web server answered {code}", 300 <= code < 500 and code not in _LATER)


def _load_trusted(home: Home, ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(home.folder / ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise ExpectedError(f"a PEM file of certificates is expected at {ca_file}, found none; correct it") from None


def _describe_network(who: str, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"{who} did not answer within {TIMEOUT_S:g} s"
    cause = error if isinstance(error, OSError) else error.__cause__ or error
    return f"{who} cannot be reached: {getattr(cause, 'strerror', None) or cause}"


def _decode(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
