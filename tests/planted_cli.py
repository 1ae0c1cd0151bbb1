"""`ceus-site` whose reading breaks on clips of certain names, in its workers as well; for the test of planted names."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import client.pipeline
from ceus_models.exits import exit_code
from client import cli
from client.clip import open_clip


def breaking(path: Path, *more: Any) -> Any:
    """As `open_clip`, but a library fails with the path in its text, or crashes after printing it."""
    if path.name.endswith("fail.dcm"):
        raise KeyError(f"cannot open {path}")
    if path.name.endswith("crash.dcm"):
        os.write(2, str(path).encode())
        os.kill(os.getpid(), signal.SIGSEGV)
    return open_clip(path, *more)


client.pipeline.open_clip = breaking  # type: ignore[attr-defined]


def trip(site: Any, *_: Any) -> Any:
    """Stands for a bug: the text of its error is the whole table."""
    raise ZeroDivisionError((site.folder / "lesions.csv").read_text(encoding="utf-8"))


if __name__ == "__main__":
    codes = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        command, *more = line.split("\t")
        sound, cli.index = cli.index, trip if command == "bug" else cli.index  # type: ignore[assignment]
        codes.append(exit_code(cli.app, more if command == "bug" else [command, *more]))
        cli.index = sound
    print(f"exit codes {codes}")
