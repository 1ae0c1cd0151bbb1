"""Time, processor time and peak memory of each stage of a run, over all its processes."""

from __future__ import annotations

import contextlib
import json
import resource
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically

_KEPT = ("processor_s", "peak_memory_mb")
"""What an interrupted run goes on from; its seconds are those of the rounds' records."""


class Meter:
    """Samples the memory of this process and its children; `begin_stage` begins a new entry."""

    def __init__(self, kept: Path, interval_s: float = 0.5) -> None:
        """Load what an interrupted run took from `kept`; sample memory every `interval_s` seconds."""
        self._kept = kept
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample_memory, daemon=True)
        self._name: str | None = None
        self._since = self._processor_since = 0.0
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        self.stages = {name: {"seconds": 0.0, **entry} for name, entry in found.items()}

    def __enter__(self) -> Meter:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the last stage and stop sampling."""
        self.begin_stage(None)
        self._done.set()
        self._thread.join()

    def begin_stage(self, name: str | None) -> None:
        """End the current stage and begin `name`; a repeated name adds to its entry."""
        now, processor = time.monotonic(), measure_processor_s()
        with self._lock:
            if self._name is not None:
                entry = self._open_entry(self._name)
                entry["seconds"] = round(entry["seconds"] + now - self._since, 2)
                entry["processor_s"] = round(entry["processor_s"] + processor - self._processor_since, 2)
                kept = {stage: {key: found[key] for key in _KEPT} for stage, found in self.stages.items()}
                write_atomically(self._kept, json.dumps(kept).encode(), PUBLIC)
            self._name, self._since, self._processor_since = name, now, processor

    def _open_entry(self, name: str) -> dict[str, float]:
        return self.stages.setdefault(name, {"seconds": 0.0, "processor_s": 0.0, "peak_memory_mb": 0.0})

    def _sample_memory(self) -> None:
        while not self._done.wait(self._interval_s):
            held = measure_memory_mb()
            with self._lock:
                if self._name is not None:
                    entry = self._open_entry(self._name)
                    entry["peak_memory_mb"] = max(entry["peak_memory_mb"], round(held))


def measure_processor_s() -> float:
    """Seconds of processors that this process and its children have used, ended children included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = process.cpu_times()
            total += times.user + times.system
    return total


def measure_memory_mb() -> float:
    """Memory in MB of this process and its children, shared pages counted once (proportional set size)."""
    total = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, AttributeError):  # it has just ended, or the platform has no PSS
            continue
    return total / 2**20
