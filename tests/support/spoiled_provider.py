"""A real provider of OpenID Connect in a process of its own (oidc-provider-mock), behind a proxy that can spoil it.

The provider itself asks for no PKCE: the proxy refuses a code whose verifier does not fit its challenge.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

Claims = dict[str, Any]


def make_key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


@dataclass
class SpoiledProvider:
    """change: the claims of an ID token, which is then signed by `key` · published: whether that key is the provider's
    · lies: of its discovery document · seen: bodies of requests for tokens.
    """

    behind: int
    port: int = 0
    change: Callable[[Claims], Claims] | None = None
    key: RSAKey = field(default_factory=lambda: make_key("spoiled"))
    published: bool = True
    lies: Claims = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    _challenges: dict[str, str] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set_user(self, subject: str, **claims: object) -> None:
        httpx.put(f"{self.issuer}/users/{subject}", json=claims, trust_env=False).raise_for_status()

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        asked = httpx.Client(base_url=f"http://127.0.0.1:{self.behind}", trust_env=False)
        with asked as client:
            return client.request(method, path, headers=headers, content=body)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/oauth2/token":
            asked = dict(parse_qsl(body.decode()))
            self.seen.append(asked)
            if not self._is_proven(asked):
                return 400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}'
        found = self.pass_on(method, path, headers, body)
        kept = {name: found.headers[name] for name in ("content-type", "location") if name in found.headers}
        self._note_challenge(path, found)
        return found.status_code, kept, self._spoil(path, found)

    def _note_challenge(self, path: str, found: httpx.Response) -> None:
        code = parse_qs(urlsplit(found.headers.get("location", "")).query).get("code")
        if code:
            asked = parse_qs(urlsplit(path).query)
            assert asked["code_challenge_method"] == ["S256"]
            self._challenges[code[0]] = asked["code_challenge"][0]

    def _is_proven(self, asked: dict[str, str]) -> bool:
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        return self._challenges.get(asked.get("code", "")) == base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _spoil(self, path: str, found: httpx.Response) -> bytes:
        if found.status_code != 200:
            return found.content
        if path == "/.well-known/openid-configuration":
            return json.dumps(found.json() | self.lies).encode()
        if path == "/jwks" and self.change and self.published:
            return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()
        if path == "/oauth2/token" and self.change:
            token = found.json()
            part = token["id_token"].split(".")[1]
            claims = self.change(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
            token["id_token"] = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
            return json.dumps(token).encode()
        return found.content


def _handler_of(provider: SpoiledProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
            status, headers, content = provider.answer(self.command, self.path, kept, body)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _do

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def started_provider() -> Iterator[SpoiledProvider]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            provider = SpoiledProvider(port)
            front = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(provider))
            provider.port = front.server_port
            thread = threading.Thread(target=front.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield provider
            finally:
                front.shutdown()
                thread.join()
                front.server_close()
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/jwks", trust_env=False)
            return
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
