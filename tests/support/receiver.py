"""A receiver that tests start, kill and ask what it told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dicom_sender import find_free_port, wait_until_listening

RUN = Path(__file__).with_name("receive_run.py")


class Receiver:
    """The receiver of a folder; section: keys of `receive` in site.yaml beside those that a test needs."""

    def __init__(self, folder: Path, command: tuple[str, ...] = (), **section: Any) -> None:
        self.folder, self.port = folder, find_free_port()
        self._command = command or (sys.executable, str(RUN), str(folder))
        receive = {"title": "FEDCEUS", "callers": [{"title": "PACS"}], "port": self.port}
        receive |= {"min_free_gib": 1e-6, "quiet_s": 1, **section}
        folder.mkdir(parents=True, exist_ok=True)
        site = {"schema": 1, "center": 40, "name": "Hospital 40", "receive": receive}
        (folder / "site.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
        self.told: list[dict[str, Any]] = []

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(self._command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._drain)]
        self.errors = b""
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.told.extend(json.loads(line) for line in lines)

    def _drain(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.errors = lines.read()

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(with_signal)
        self.process.wait(60)
        for reader in self._readers:
            reader.join()

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        self.start()
        try:
            wait_until_listening(self.port)
            yield self
        finally:
            self.end()

    def wait_for(self, event: str, count: int = 1, seconds: float = 200.0) -> None:
        end = time.monotonic() + seconds
        while self.count(event) < count:
            assert time.monotonic() < end, f"no {event}: {self.told}"
            time.sleep(0.02)

    def count(self, event: str) -> int:
        return sum(one["event"] == event for one in list(self.told))

    def list_studies(self) -> list[int]:
        """How many objects each whole study has."""
        received = self.folder / "clips" / "received"
        return sorted(len(list(study.iterdir())) for study in received.iterdir()) if received.exists() else []

    def count_waiting(self) -> int:
        """Studies that are not whole."""
        return len(list((self.folder / "receiving" / "studies").iterdir()))
