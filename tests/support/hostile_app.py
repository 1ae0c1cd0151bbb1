"""What a hostile bundle brings as client_app.py: it tries to get at the hospital's data, and says what it got.

HOSTILE_TARGET names a JSON file with every path of the site (folders too) and the worker's process: it knows all names.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import Message

from ceus_models.protocol.flower_records import to_record

PTRACE_ATTACH = 16


def tried(got: list[str], what: str, attempt: Callable[[], object]) -> None:
    """Adds what worked."""
    try:
        if attempt() is not False:
            got.append(what)
    except (OSError, ValueError):
        pass


def attacked(paths: list[str], worker: int) -> dict[str, Any]:
    read: list[str] = []
    changed: list[str] = []
    for path in paths:
        tried(read, f"read {path}", lambda p=path: len(Path(p).read_bytes()) > 0)
        tried(read, f"list {path}", lambda p=path: bool(os.listdir(p)))  # noqa: PTH208
        tried(read, f"link {path}", lambda p=path: os.link(p, f"/tmp/hostile-{os.getpid()}"))
        tried(changed, f"write {path}", lambda p=path: Path(p).open("ab").close())
        tried(changed, f"chmod {path}", lambda p=path: Path(p).chmod(0o777))
        tried(changed, f"unlink {path}", lambda p=path: Path(p).unlink())
        tried(changed, f"make {path}/x", lambda p=path: (Path(p) / "x").touch())
    process = Path(f"/proc/{worker}")
    for name in ("mem", "environ", "maps", "smaps", "stack", "auxv"):
        tried(read, f"{name} of the worker", lambda n=name: len((process / n).open("rb").read(100)) > 0)
    for name in ("fd", "map_files"):
        tried(read, f"{name} of the worker", lambda n=name: bool(os.listdir(process / n)))  # noqa: PTH208
    for name in ("cwd", "root"):
        tried(read, f"{name} of the worker", lambda n=name: bool(os.readlink(process / n)))  # noqa: PTH115
    tried(changed, "trace the worker", lambda: ctypes.CDLL(None).ptrace(PTRACE_ATTACH, worker, 0, 0) == 0)
    tried(changed, "kill the worker", lambda: os.kill(worker, signal.SIGKILL))
    return {"read": read, "changed": changed, "uid": os.getuid(), "network": outbound()}


def outbound() -> bool:
    """That it has what a courier has: sockets."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
    return True


def app(message: Message, context: object) -> Message:
    target = json.loads(Path(os.environ["HOSTILE_TARGET"]).read_text())
    return Message(to_record(json.dumps(attacked(**target)).encode()), reply_to=message)
