"""`ceus-site init`: an empty hospital folder, with the forms to fill and one example row in the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ceus_models.runtime.csv_cells import format_csv
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.terminal import Terminal
from client.data.forms.columns import LESIONS, READS, Column
from client.data.forms.site_config import SITE_FILE
from client.policy.policy_file import POLICY_FILE

FOLDERS = ("clips", "outlines")
TABLE_FILE, READS_FILE = "lesions.csv", "reads.csv"


def init_command(folder: Annotated[Path, typer.Argument(help="A new folder, or one with exports.")]) -> None:
    """Write site.yaml and the tables to fill, with one example row. Nothing is overwritten."""
    out = Terminal()
    for path in start_site(folder):
        out.print(f"made {escape(str(path))}", soft_wrap=True)


def start_site(folder: Path) -> tuple[Path, ...]:
    """Makes the folder's forms; what was made. Raises ExpectedError where one is there already, and makes none then."""
    files = _forms()
    there = [name for name in files if (folder / name).exists()]
    if there:
        names = ", ".join(there)
        raise ExpectedError(f"nothing is overwritten, and the folder has {names}; name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # names and pictures of patients are to come
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ExpectedError(f"the folder cannot be written ({error.strerror}); name one that this user owns") from None
    return tuple(folder / name for name in (*files, *FOLDERS))


def _forms() -> Mapping[str, bytes]:
    examples = resources.files("client.cli")
    row = [column.example for column in LESIONS]
    return {
        SITE_FILE: examples.joinpath("site.example.yaml").read_bytes(),
        POLICY_FILE: examples.joinpath("policy.example.yaml").read_bytes(),
        TABLE_FILE: _csv([_header(LESIONS), row]),
        READS_FILE: _csv([_header(READS)]),
    }


def _header(columns: Iterable[Column]) -> list[str]:
    return [column.header for column in columns]


def _csv(rows: Iterable[list[str]]) -> bytes:
    """UTF-8 with a byte order mark, without which Excel takes Chinese for another encoding."""
    return format_csv(rows).encode("utf-8-sig")
