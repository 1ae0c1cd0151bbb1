"""Mutated files of every kind that a hospital hands over beside its clips: an error in our words or a right result.

Each case is drawn from (kind, number), so a failure is found again by its number. Names are planted in every file and
looked for in every error.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from made_outlines import FORMATS
from made_tables import Tables

import client
from ceus_models.runtime.errors import FaultList
from client.data.forms.site_config import load_site
from client.data.outlines.outline import OutlineError, read_outline
from client.data.table.manifest import read_manifest
from client.data.table.reads import read_reads

NAME = b"Zhangwei"
MOST_S = 5.0
WORDS = (
    b"-1",
    b"0",
    b"NaN",
    b"1e999",
    b"99999999999",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"\x00",
    b'"',
    b",",
    b"<",
    b"&",
)
OUTLINES = tuple(FORMATS)
EXAMPLE = Path(client.__file__).parent / "cli" / "site.example.yaml"


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to three changes: bits, bytes, pieces cut, doubled or moved, and words that trip parsers."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        place, length = draw.randrange(len(data) + 1), draw.choice((1, 1, 2, 4, 16))
        kind = draw.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[place : place + length] = draw.randbytes(length)
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length] * draw.randint(1, 8)
        elif kind == 4:
            data[place : place + draw.choice((0, length))] = draw.choice((*WORDS, NAME))
        else:
            del data[draw.randrange(len(data) + 1) :]
    return bytes(data)


def cases(kind: str, content: bytes, count: int) -> Iterator[bytes]:
    return (mutated(content, random.Random(f"{kind}/{number}")) for number in range(count))


def timed(work: Callable[[], str]) -> None:
    """Runs one case: its errors' text names nobody, and it ends in time."""
    begun = time.perf_counter()
    text = work()
    assert time.perf_counter() - begun < MOST_S
    assert NAME.decode().casefold() not in text.casefold()


@lru_cache(maxsize=1)
def _reports() -> dict[str, bytes]:
    return {}


def good_outline(name: str, folder: Path) -> tuple[Path, bytes]:
    """A good file with the planted name in it, made once: highdicom takes its time."""
    file, write = FORMATS[name]
    path = folder / file
    if name not in _reports():
        _reports()[name] = write(path).read_bytes().replace(b"DOE^JANE", NAME).replace(b"MRN-4711", NAME)
    return path, _reports()[name]


def outline_fuzz(name: str, folder: Path, count: int) -> int:
    """How many mutated files were still read."""
    path, content = good_outline(name, folder)
    read = 0

    def attempt() -> str:
        nonlocal read
        try:
            outline = read_outline(path, 3, "screen")
        except OutlineError as error:
            return f"{error} {error.reason}"
        read += 1
        assert outline.polygon.ndim == 2
        assert outline.frame == 3
        assert outline.screen is None or min(outline.screen) >= 0
        return ""

    for case in cases(name, content, count):
        path.write_bytes(case)
        timed(attempt)
    return read


def table_fuzz(site_file: Path, target: Path, count: int) -> int:
    """How many rows were read of all the mutated tables."""
    good = target.read_bytes()
    read = 0

    def attempt() -> str:
        nonlocal read
        try:
            site = load_site(site_file.parent)
        except FaultList as error:
            return "" if target == site_file else str(error)
        manifest = read_manifest(site)
        reads, faults = read_reads(site, {"L0", "L1"})
        read += len(manifest.rows) + len(reads)
        told = "\n".join(map(str, (*manifest.faults, *faults)))
        # a file is called as site.yaml calls it: that is the hospital's own choice
        return told.replace(site.table.name, "").replace(site.reads.name, "") if target == site_file else told

    for case in cases(target.name, good, count):
        target.write_bytes(case)
        timed(attempt)
    target.write_bytes(good)
    return read


def hospital(folder: Path, workbook: bool) -> Tables:
    tables = Tables(folder, 6)
    for row in tables.rows:
        row["patient_id"] = f"{NAME.decode()} {row['lesion_id']}"
    tables.reads = [["L0", NAME.decode(), "junior", "no", "HCC", "30"], ["L1", NAME.decode(), "mri", "no", "HM", ""]]
    tables.yaml = EXAMPLE.read_text(encoding="utf-8").replace("center: 1 ", "center: 5 ")
    tables.site()
    if workbook:
        tables.workbook_site()
    return tables


@pytest.mark.parametrize("name", OUTLINES)
def test_mutated_outlines(tmp_path: Path, name: str) -> None:
    outline_fuzz(name, tmp_path, 30)


@pytest.mark.parametrize(("file", "count"), [("lesions.csv", 60), ("reads.csv", 40), ("site.yaml", 40)])
def test_mutated_tables(tmp_path: Path, file: str, count: int) -> None:
    tables = hospital(tmp_path, workbook=False)
    assert table_fuzz(tables.folder / "site.yaml", tables.folder / file, count) > 0


def test_mutated_workbooks(tmp_path: Path) -> None:
    tables = hospital(tmp_path, workbook=True)
    table_fuzz(tables.folder / "site.yaml", tables.folder / "lesions.xlsx", 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTLINES)
def test_many_mutated_outlines(tmp_path: Path, name: str) -> None:
    outline_fuzz(name, tmp_path, 600)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["lesions.csv", "reads.csv", "site.yaml", "lesions.xlsx"])
def test_many_mutated_tables(tmp_path: Path, file: str) -> None:
    tables = hospital(tmp_path, workbook=file.endswith("xlsx"))
    table_fuzz(tables.folder / "site.yaml", tables.folder / file, 600)


def test_the_fuzz_leaves_some_files_readable(tmp_path: Path) -> None:
    """Else it would only test the first check of each reader."""
    for name in ("LabelMe", "CVAT images", "NIfTI", "DICOM SEG"):
        assert 0 < outline_fuzz(name, tmp_path, 60) < 60
