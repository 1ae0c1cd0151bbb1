"""Process trees that end with their parent, even when the parent is killed.

Flower's processes start children in sessions of their own, so killing a process group is not enough.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from ceus_models.runtime.errors import ExpectedError

_GRACE_S = 6.0
_START_FIELD = 19  # of proc(5)'s stat, behind the name


class ProcessGroup:
    """Long-lived processes with a log each. A context manager: all of them are stopped at its end.

    A watchdog process reads from a pipe that closes when this process dies in any way, kill -9 included.
    """

    def __init__(self, logs: Path, grace_s: float | None = None) -> None:
        """Use `logs` as the folder of NAME.log, and wait `grace_s` between SIGTERM and SIGKILL."""
        self.logs = logs
        self._grace_s = _GRACE_S if grace_s is None else grace_s
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ProcessGroup:
        """Start the watchdog."""
        self.logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ceus_models.runtime.process_tree"]
        self._watchdog = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all processes, within a few seconds."""
        alive = [process.pid for process in self._processes.values() if process.poll() is None]
        stop_processes(_list_trees(alive), self._grace_s)  # the id of one that has ended may be another's by now
        for process in self._processes.values():
            process.wait()
        if self._watchdog:
            self._watchdog.communicate()

    def start(self, name: str, command: Sequence[str], env: dict[str, str]) -> int:
        """Start a process and return its id; its output is appended to NAME.log."""
        with self.log_path(name).open("ab") as log:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if before := self._processes.get(name):
            before.poll()  # reap the old process before it is replaced
        self._processes[name] = process
        pipe: IO[bytes] | None = self._watchdog.stdin if self._watchdog else None
        if pipe:
            pipe.write(f"{process.pid}\n".encode())
            pipe.flush()
        return process.pid

    def poll_exit_code(self, name: str) -> int | None:
        """The exit code of a process, None while it runs."""
        return self._processes[name].poll()

    def stop(self, name: str) -> None:
        """Stop one process with its children; if it has ended, kill the rest of its process group."""
        process = self._processes[name]
        stop_processes(_list_trees([process.pid]), self._grace_s)
        process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it was the leader of its own group

    def log_path(self, name: str) -> Path:
        """The log file of a process."""
        return self.logs / f"{name}.log"

    def rotate_logs(self, limit: int = 5_000_000, kept: int = 3) -> None:
        """Rotate logs of more than `limit` bytes to NAME.log.1 … NAME.log.`kept`, the oldest last.

        The log is copied and truncated, because the process holds it open; a line written meanwhile may be lost.
        """
        for log in self.logs.glob("*.log"):
            if log.stat().st_size <= limit:
                continue
            for number in range(kept - 1, 0, -1):
                if (older := log.with_name(f"{log.name}.{number}")).exists():
                    older.replace(log.with_name(f"{log.name}.{number + 1}"))
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)

    def check_running(self) -> None:
        """Raise ExpectedError with the last line of the log if a process has ended."""
        for name, process in self._processes.items():
            if (code := process.poll()) is not None:
                log = self.log_path(name)
                raise ExpectedError(f"{name} ended with exit code {code}: {read_last_line(log)}; see its log {log}")


def read_last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "its log is empty")


def read_start(pid: int) -> float:
    """When a process was started, in seconds since the machine's start.

    Raises psutil.NoSuchProcess if there is none.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    return int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")


def stop_processes(processes: Sequence[psutil.Process], grace_s: float) -> None:
    """Send SIGTERM to the processes, and SIGKILL after `grace_s`."""
    for process in processes:
        _send_signal(process, kill=grace_s <= 0)
    _, alive = psutil.wait_procs(processes, timeout=max(grace_s, 0.1))
    for process in alive:
        _send_signal(process, kill=True)
    psutil.wait_procs(alive, timeout=5.0)


def _send_signal(process: psutil.Process, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass


def _list_trees(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes and all their descendants."""
    found: list[psutil.Process] = []
    for pid in pids:
        try:
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def watch_parent(lines: Iterable[bytes]) -> None:
    """Read process ids until `lines` ends, then kill those processes and their children."""
    roots = {}
    for line in lines:
        try:
            process = psutil.Process(int(line))
        except psutil.NoSuchProcess:
            continue
        roots[process.pid] = process
    alive = [process.pid for process in roots.values() if process.is_running()]  # is_running: not a reused id
    stop_processes(_list_trees(alive), 0.0)


if __name__ == "__main__":
    watch_parent(sys.stdin.buffer)
