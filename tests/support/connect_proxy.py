"""An HTTPS proxy that wants a password: it passes CONNECT to where it may, and writes down where that was."""

from __future__ import annotations

import base64
import json
import selectors
import socket
import socketserver
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

USER, PASSWORD = "hospital", "a:b@c"


class ConnectProxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, allowed: str, listens: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(listens, _Handler)
        self.allowed = allowed
        self.asked: Counter[str] = Counter()
        self.bytes = 0
        self.cut_after: int | None = None
        """So many bytes pass through one connection, then it is cut."""
        self.cuts = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    server: ConnectProxy

    def handle(self) -> None:
        verb, target = self.rfile.readline().decode().split()[:2]
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        self.server.asked[f"{verb} {target}"] += 1
        print(json.dumps({"from": self.client_address[0], "asked": f"{verb} {target}"}), flush=True)
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("proxy-authorization") != f"Basic {wanted}":
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif (verb, target) != ("CONNECT", self.server.allowed):
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), 10.0) as other:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._carry(self.connection, other)

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        carried = 0
        with selectors.DefaultSelector() as waiting:
            waiting.register(one, selectors.EVENT_READ, other)
            waiting.register(other, selectors.EVENT_READ, one)
            while True:
                for key, _ in waiting.select():
                    try:
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        key.data.sendall(data)
                    except OSError:
                        return
                    self.server.bytes += len(data)
                    carried += len(data)
                    if not data:
                        return
                    if self.server.cut_after and carried > self.server.cut_after:
                        self.server.cuts += 1
                        return


@contextmanager
def connect_proxy(allowed: str) -> Iterator[ConnectProxy]:
    with ConnectProxy(allowed) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


if __name__ == "__main__":  # ADDRESS PORT ALLOWED: a line of JSON for every address that asks
    with ConnectProxy(sys.argv[3], (sys.argv[1], int(sys.argv[2]))) as proxy:
        proxy.serve_forever()
