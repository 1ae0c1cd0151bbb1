"""`ceus-site` with a bug that can be called for; for the test of planted names. Its reading breaks by sitecustomize."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ceus_models.runtime.exit_codes import exit_code
from client.cli import dataset
from client.cli.main import app


def trip(site: Any, *_: Any) -> Any:
    """Stands for a bug: the text of its error is the whole table."""
    raise ZeroDivisionError((site.folder / "lesions.csv").read_text(encoding="utf-8"))


if __name__ == "__main__":
    codes = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        command, *more = line.split("\t")
        sound, dataset.index = dataset.index, trip if command == "bug" else dataset.index  # type: ignore[assignment]
        codes.append(exit_code(app, more if command == "bug" else [command, *more]))
        dataset.index = sound
    print(f"exit codes {codes}")
