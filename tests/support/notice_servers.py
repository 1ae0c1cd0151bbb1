"""A mail server and a web server on this machine that keep what they are sent, and fail as they are told."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ceus_models.pki.enrolment import utc_now
from tests.support.real_federation import ports


@dataclass
class MailBox:
    """Mails that arrived. refused: addresses that are no one's · slow_s: that an answer takes."""

    port: int = 0
    refused: tuple[str, ...] = ()
    slow_s: float = 0.0
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.refused:
            return "550 5.1.1 <b>no such user</b>"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        time.sleep(self.slow_s)
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        return "250 OK"


@contextmanager
def mail_server(box: MailBox, trusted: Path | None = None, password: str = "") -> Iterator[MailBox]:
    """trusted: certificate and key for STARTTLS · password: that a login needs."""

    def check(*found: Any) -> AuthResult:
        login = found[-1]
        right = isinstance(login, LoginPassword) and login.password.decode() == password
        return AuthResult(success=right, handled=right)

    options: dict[str, Any] = {"tls_context": _load(trusted), "require_starttls": True} if trusted else {}
    if password:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": bool(trusted)}
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.port = box.port or ports(1)[0]
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Hook:
    """Posts that arrived: headers and body. codes: answered one after the other, then 200 · slow_s: that each takes."""

    port: int = 0
    codes: list[int] = field(default_factory=list)
    slow_s: float = 0.0
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def web_server(hook: Hook, trusted: Path | None = None) -> Iterator[Hook]:
    """trusted: certificate and key for TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = hook.codes.pop(0) if hook.codes else 200
            time.sleep(hook.slow_s)
            if code == 200:
                hook.posts.append((dict(self.headers), body))
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", hook.port), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hung up
    if trusted:
        server.socket = _load(trusted).wrap_socket(server.socket, server_side=True)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(path: Path) -> Path:
    """A self-signed certificate of localhost, with its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made")])
    now = utc_now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


def _load(trusted: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted)
    return context
