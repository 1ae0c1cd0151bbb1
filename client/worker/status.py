"""The worker's status on a socket of its own, so that it is answered also while a task takes hours.

Whoever may send tasks may ask for it. One line of JSON comes back, with nothing of a patient in it, and nothing is read
from the one who asks.
"""

from __future__ import annotations

import json
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ceus_models.runtime.errors import ExpectedError
from client.data.dataset.index_file import read_index
from client.data.forms.site_config import SiteConfig
from client.data.forms.withdrawals import read_withdrawals
from client.policy.approved_studies import read_approved
from client.policy.policy import APPROVED
from client.policy.policy_file import PolicyFile
from client.worker.site.opt_out import read_participation
from client.worker.site.restored_records import read_restoration
from client.worker.unix_socket import listen

LEAST_FREE_BYTES = 100 << 20
"""Below it audit and memory may soon not be written."""
_PAUSE_S = 0.05  # between two who ask

Obstacles = Callable[[], tuple[str, str]]
"""Returns why tasks are refused at the moment: (what is wrong, what the hospital chose), "" for nothing."""


@dataclass
class WorkerStatus:
    """What the worker does. `track` is called by the worker, `report` by another thread."""

    site: str
    obstacles: Obstacles = lambda: ("", "")
    clock: Callable[[], float] = time.monotonic
    _answers: int = field(default=0, init=False)
    _since: float = field(init=False)
    _left: float | None = field(default=None, init=False)
    _connection: socket.socket | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """It begins by waiting."""
        self._since = self.clock()

    @contextmanager
    def track(self, connection: socket.socket) -> Iterator[None]:
        """Count the worker as working while a request of this connection is answered."""
        self._since, self._left, self._connection = self.clock(), None, connection
        try:
            yield
        finally:
            self._answers += 1
            self._since, self._connection = self.clock(), None

    def report(self) -> dict[str, Any]:
        """Report the status.

        Returns:
            doing (waiting or working), for_s (seconds since then), alone_s (seconds since the courier of this task
            hung up), answers (requests so far), wrong and chosen (see `Obstacles`).
        """
        connection = self._connection
        if connection is not None and self._left is None and _has_hung_up(connection):
            self._left = self.clock()
        left = self._left if connection is not None else None
        wrong, chosen = self.obstacles()
        return {
            "site": self.site,
            "doing": "waiting" if connection is None else "working",
            "for_s": round(self.clock() - self._since, 1),
            "alone_s": 0.0 if left is None else round(self.clock() - left, 1),
            "answers": self._answers,
            "wrong": wrong,
            "chosen": chosen,
        }


def watch_obstacles(site: SiteConfig) -> Obstacles:
    """Make a function that reads from the site's files why tasks are refused."""
    policy = PolicyFile(site.folder)

    def read() -> tuple[str, str]:
        edition = policy.load_current()
        if edition.faults is not None:
            return "policy.yaml has a fault, every task is refused: `ceus-site check` tells which", ""
        if shutil.disk_usage(site.work if site.work.exists() else site.folder).free < LEAST_FREE_BYTES:
            return f"less than {LEAST_FREE_BYTES >> 20} MB are free on the disk of the site's folder", ""
        try:
            standing = read_participation(site.records)
            read_index(site)
            read_withdrawals(site.records)
            restoration = read_restoration(site.records)
            approved = read_approved(site.records).in_force()
        except ExpectedError as error:
            return str(error), ""
        wrong, known = restoration.describe()
        none = edition.policy is not None and edition.policy.studies == APPROVED and not approved
        known = "; ".join(filter(None, (known, "no study is approved here yet" if none else "")))
        chosen = standing.refuses("") or ("withdrawn from a study" if standing.withdrawn else "")
        return wrong, "" if wrong else "; ".join(filter(None, (chosen, known)))

    return read


@contextmanager
def serve_status(path: Path, status: WorkerStatus) -> Iterator[None]:
    """Report the status to whoever connects to the socket at `path`. Raises ExpectedError where none can be opened."""
    with listen(path) as server:
        threading.Thread(target=_answer_all, args=(server, status), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)  # else the thread would wait on, and answer for a worker that has ended


def _answer_all(server: socket.socket, status: WorkerStatus) -> None:
    while server.fileno() >= 0:
        with suppress(OSError), server.accept()[0] as connection:
            connection.settimeout(1.0)
            connection.sendall(json.dumps(status.report()).encode() + b"\n")
        time.sleep(_PAUSE_S)


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection; nothing is read from it."""
    poller = select.poll()
    try:
        poller.register(connection, 0)
        return bool(poller.poll(0))  # hang-ups and errors are reported for any mask
    except (OSError, ValueError):
        return True  # it was closed here meanwhile
