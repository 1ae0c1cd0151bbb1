"""Whether the machine, or its container, can hold a worker and a courier: disk, memory, limits, shared memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from ceus_models.runtime.findings import Finding, make_fault, make_note, make_ok
from client.policy.machine import read_memory_bytes

_LEAST_DISK, _GOOD_DISK = 1 << 30, 20 << 30
_LEAST_MEMORY, _GOOD_MEMORY = 2 << 30, 8 << 30
_LEAST_SHARED = 64 << 20
_LEAST_FILES, _LEAST_TASKS = 1024, 256
_CGROUP = Path("/sys/fs/cgroup")


def disk(folders: dict[str, Path]) -> Finding:
    """Room below each folder that is written to."""
    free = {what: shutil.disk_usage(_existing(path)).free for what, path in folders.items()}
    said = ", ".join(f"{what} {count / (1 << 30):.1f} GB free" for what, count in free.items())
    if min(free.values()) < _LEAST_DISK:
        return make_fault(
            "disk", said, "free at least 1 GB: an answer that cannot be written to the audit does not leave"
        )
    if min(free.values()) < _GOOD_DISK:
        return make_note(
            "disk", said, "20 GB are comfortable: a lesion takes 1-4 MB, nets that the site keeps some 150 MB each"
        )
    return make_ok("disk", said)


def writable(folders: dict[str, Path]) -> Finding:
    """Whether this user may write there, tried with a file."""
    for what, path in folders.items():
        probe = _existing(path) / f".preflight-{os.getpid()}"
        try:
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            return make_fault(
                "folders",
                f"{what} cannot be written ({error.strerror})",
                "let this user own it, or run as the one who does",
            )
    return make_ok("folders", f"{', '.join(folders)} can be written")


def memory() -> Finding:
    """What the machine or its container has."""
    has = read_memory_bytes()
    said = f"{has / (1 << 30):.1f} GB, of which {psutil.virtual_memory().available / (1 << 30):.1f} are free now"
    if has < _LEAST_MEMORY:
        return make_fault(
            "memory", said, "give the machine or the container at least 2 GB (8 for nets of the paper's size)"
        )
    if has < _GOOD_MEMORY:
        return make_note("memory", said, "8 GB are comfortable for nets of the paper's size")
    return make_ok("memory", said)


def shared_memory(place: Path = Path("/dev/shm")) -> Finding:
    """torch puts what processes share there. The worker is one process, so little is enough."""
    if not place.is_dir():
        return make_note("shared memory", "there is no /dev/shm", "mount a tmpfs there, if a library asks for it")
    size = shutil.disk_usage(place).total
    said = f"{size >> 20} MB"
    if size < _LEAST_SHARED:
        return make_note("shared memory", said, "start the container with --shm-size 64m (compose: shm_size) or more")
    return make_ok("shared memory", said)


def cgroup(place: Path = _CGROUP) -> Finding:
    """The limits of a container or a service: too few processes or processors starve a site without a word."""
    limits = {name: _limit(place / name) for name in ("cpu.max", "pids.max")}
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0))
    quota = limits["cpu.max"].split()
    share = int(quota[0]) / int(quota[1]) if len(quota) == 2 and quota[0].isdecimal() else float(cores or 1)
    kind = "v2" if (place / "cgroup.controllers").exists() else "v1 or none"
    tasks = limits["pids.max"]
    said = f"cgroup {kind}, {min(share, float(cores or 1)):g} processors, {tasks or 'no limit of'} tasks"
    if tasks.isdecimal() and int(tasks) < _LEAST_TASKS:
        return make_fault("cgroup", said, f"allow {_LEAST_TASKS} tasks or more (docker: pids_limit, systemd: TasksMax)")
    if share < 1:
        return make_note(
            "cgroup", said, "give the worker one whole processor or more (docker: cpus, systemd: CPUQuota)"
        )
    return make_ok("cgroup", said)


def open_files() -> Finding:
    """A worker needs a few hundred."""
    soft = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0]
    if 0 <= soft < _LEAST_FILES:
        return make_fault(
            "open files", f"at most {soft}", f"raise it to {_LEAST_FILES} (ulimit -n, systemd: LimitNOFILE)"
        )
    return make_ok("open files", f"at most {soft}" if soft >= 0 else "no limit")


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(one for one in (path, *path.parents) if one.is_dir())


def _limit(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
