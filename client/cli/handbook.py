"""The tables of docs/site.md, made from the code: columns, tags that are read, and every error with its remedy.

`python -m client.cli.handbook docs/site.md` writes them between their marks, and with `docs/zh/site.md --lang zh` in
Chinese; the text around them is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_cli
from ceus_models.runtime.language.reader_language import ENGLISH, find_language, speaking, translate
from client.data.forms.columns import LESIONS, READS, Column
from client.data.imaging.clip import READERS
from client.data.imaging.dicom.exam_header import EXAM_TAGS
from client.data.imaging.dicom.header import ALLOWED
from client.faults.catalogue import as_markdown
from client.translation.language import CODES, load_language

_MARKS: Mapping[str, tuple[str, str, str]] = {ENGLISH.tag: (" (", ")", "."), "zh-CN": ("（", "）", "。")}
"""Of a language: brackets and full stop."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def columns(of: Sequence[Column]) -> str:
    """One row a column of a form."""
    head = [_translate_line("| column | what stands in it | example |"), "|---|---|---|"]
    return "\n".join([*head, *map(_row, of)])


def tags() -> str:
    """The DICOM tags that are read."""
    return ", ".join(f"`{name}`" for name in ALLOWED) + _MARKS[find_language().tag][2]


def exam_tags() -> str:
    """The DICOM tags that `scan` and `receive` read besides."""
    return ", ".join(f"`{name}`" for name in EXAM_TAGS if name not in ALLOWED) + _MARKS[find_language().tag][2]


def suffixes() -> str:
    """The kinds of clip files that are read."""
    named = ", ".join(f"`{suffix}`" for suffix in sorted(READERS) if suffix)
    return translate(f"{named}, and DICOM files without a suffix.")


def errors() -> str:
    """Every reason for a fault, with its remedy."""
    return "\n".join(map(_translate_line, as_markdown().split("\n")))


PARTS: Mapping[str, Callable[[], str]] = {
    "lesions.csv": lambda: columns(LESIONS),
    "reads.csv": lambda: columns(READS),
    "suffixes": suffixes,
    "tags": tags,
    "exam tags": exam_tags,
    "errors": errors,
}


def fill_tables(text: str) -> str:
    """The page with its tables made anew, in the language of this context.

    Raises:
        ExpectedError: a mark is missing.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- {name}: made by client.cli.handbook -->\n", f"\n<!-- end of {name} -->"
        found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if found is None:
            raise ExpectedError(f"the page has a place for {name} between two marks; write them")
        text = text[: found.start()] + begin + make().strip() + end + text[found.end() :]
    return text


def _row(column: Column) -> str:
    begin, end, stop = _MARKS[find_language().tag]
    words = f"{begin}{', '.join(column.allowed)}{end}" if column.allowed else ""
    optional = translate(" The column may be left out.") if column.optional else ""
    example = f"`{column.example}`" if column.example else ""
    return f"| `{column.header}` | {translate(column.meaning)}{words}{stop}{optional} | {example} |"


def _translate_line(line: str) -> str:
    """A row of a table, cell by cell, or a heading."""
    mark, _, title = line.partition(" ")
    if mark == "|":
        return "|".join(f" {translate(cell.strip())} " if cell else "" for cell in line.split("|"))
    return f"{mark} {translate(title)}" if mark.startswith("#") else line


@app.command()
def main(
    page: Annotated[Path, typer.Argument(help="docs/site.md")],
    lang: Annotated[str, typer.Option(help=f"Its language: {' or '.join(CODES)}.")] = "en",
) -> None:
    """Write the tables of the page."""
    with speaking(load_language(lang)):
        page.write_text(fill_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    run_cli(app)
