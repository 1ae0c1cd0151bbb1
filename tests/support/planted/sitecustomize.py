"""Reading that breaks on clips of certain names, in every process that has this folder in its path: workers too."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import client.data.analysis.pipeline
from client.data.imaging.clip import open_clip


def breaking(path: Path, *more: Any) -> Any:
    """As `open_clip`, but a library fails with the path in its text, or crashes after printing it."""
    if path.name.endswith("fail.dcm"):
        raise KeyError(f"cannot open {path}")
    if path.name.endswith("crash.dcm"):
        os.write(2, str(path).encode())
        os.kill(os.getpid(), signal.SIGSEGV)
    return open_clip(path, *more)


client.data.analysis.pipeline.open_clip = breaking  # type: ignore[attr-defined]
