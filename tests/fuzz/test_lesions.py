"""Mutated files of whole lesions, through `check_row` and `index`: a clear error or a sample, in time and memory.

Each case is drawn from its number, so a failure is found again. Names stand in every file and in no error.
"""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from made_planted import COLUMNS_PX, FRAMES, NAMES, ROWS, found_in, write_planted

from ceus_models.runtime.errors import FaultList
from ceus_models.study.processing import Processing
from client.data.dataset.check import check_row
from client.data.dataset.index import build_index
from client.data.dataset.index_report import TooManySkippedError
from client.data.dataset.samples import load_samples
from client.data.dataset.worker_pool import Limits
from client.data.forms.site_config import load_site
from client.data.table.manifest import read_manifest
from client.faults.catalogue import REASONS

KINDS = ("native.dcm", "packed.dcm", "stated.dcm", "film.avi", "film.mp4")
PLAN = Processing(frames_to_peak=4, frames_after=2, size=24, flow_maps=1, flow_size=24, margin_px=4.0)
LIMITS = Limits(seconds=30.0, memory_bytes=2 << 30)
GROWTH_KIB = 3 << 19
"""Beyond what the tests take already, so that a worker stays under 2 GiB."""
OURS = set(REASONS)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to eight changes, half of them where headers lie."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        if not changed:
            break
        at = draw.randrange(len(changed) if draw.random() < 0.5 else min(len(changed), 2000))
        kind = draw.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"1e99", b"-1,]"))
        elif kind == 2:
            del changed[at : at + draw.randrange(1, 64)]
        elif kind == 3:
            changed[at:at] = changed[at : at + draw.randrange(1, 64)]
        elif kind == 4:
            changed[at : at + len(NAMES[1])] = NAMES[1].encode()
        elif draw.random() < 0.3:
            del changed[at:]
    return bytes(changed)


class Fuzzed:
    """A hospital of five kinds of lesions; `round` spoils one file of each, reads it all and puts the files back."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_planted(folder / "site", kinds=KINDS)
        self.site = load_site(self.folder)
        rows = read_manifest(self.site).rows
        files = [[row.clips[0].path, row.outline.path] for row in rows]
        self.files = [[(path, path.read_bytes()) for path in pair] for pair in files]
        self.read = self.lost = self.cases = 0

    def round(self, number: int, workers: int) -> None:
        """One mutation of the clip or the outline of every lesion; `index` over all of them."""
        draw = random.Random(number)
        for pair in self.files:
            path, content = pair[int(draw.random() < 0.3)]
            path.write_bytes(mutated(content, draw))
            self.cases += 1
        begun = time.monotonic()
        try:
            report = build_index(self.site, PLAN, workers=workers, limits=LIMITS)
        except TooManySkippedError as error:
            report = error.report
        assert time.monotonic() - begun < LIMITS.seconds * (1 + len(KINDS))
        for fault in report.faults:
            assert fault.reason in OURS
            assert not found_in(str(fault).encode()), (number, fault)
        self.read += report.read + len(report.look)
        self.lost += sum(count for reason, count in report.skipped.items() if reason.startswith("reading-"))
        rows = read_manifest(self.site).rows
        for row in rows:
            found = check_row(row, self.site)
            told = "\n".join(map(str, (*found.faults, *found.doubts, *found.notes)))
            assert not found_in(told.encode())
        for pair in self.files:
            for path, content in pair:
                path.write_bytes(content)

    def tables(self, number: int) -> None:
        """One mutation of lesions.csv or site.yaml; `index` over what is left of it."""
        draw = random.Random(f"table {number}")
        path = self.folder / draw.choice(("lesions.csv", "site.yaml"))
        content = path.read_bytes()
        path.write_bytes(mutated(content, draw))
        self.cases += 1
        told = ""
        try:
            told = "\n".join(map(str, build_index(load_site(self.folder), PLAN, limits=LIMITS).faults))
        except TooManySkippedError as error:
            told = f"{error}{error.report}"
        except FaultList:  # of site.yaml, which is the hospital's own and may be quoted
            assert path.name == "site.yaml"
        assert not found_in(told.encode()), number
        path.write_bytes(content)


def test_mutated_lesions_in_this_process(tmp_path: Path) -> None:
    fuzzed = Fuzzed(tmp_path)
    for number in range(12):
        fuzzed.round(number, workers=0)
    assert 12 < fuzzed.read < 60
    assert fuzzed.lost == 0  # no reader may be surprised
    build_index(fuzzed.site, PLAN)
    for sample in load_samples(fuzzed.site, PLAN):
        assert sample.frames.dtype == np.uint8
        assert sample.frames.shape == (6, 24, 24)
    assert (ROWS, COLUMNS_PX, FRAMES) == (192, 320, 24)


def test_mutated_tables_of_a_hospital(tmp_path: Path) -> None:
    fuzzed = Fuzzed(tmp_path)
    for number in range(20):
        fuzzed.tables(number)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_mutated_files(tmp_path: Path) -> None:
    """In this process, where a crash, a hang or hunger cannot be overlooked; the last rounds in workers."""
    fuzzed = Fuzzed(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(100, 440):
        fuzzed.round(number, workers=0)
    for number in range(100, 400):
        fuzzed.tables(number)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KIB
    for number in range(440, 445):
        fuzzed.round(number, workers=2)
    assert fuzzed.cases >= 2000
    assert fuzzed.lost == 0
    assert 0.2 < fuzzed.read / (345 * len(KINDS)) < 0.95
