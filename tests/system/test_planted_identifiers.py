"""Names, ids, dates and paths of patients, planted wherever a file can hold them, are in nothing that is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_planted import HANZI, IDS, KINDS, MARKERS, NAMES, NUMBERS, found_in, spellings, write_planted
from safetensors.numpy import load_file
from toy_lesions import task

from ceus_models.protocol.encoding import encode
from ceus_models.protocol.messages import Update
from ceus_models.study.processing import load_processing
from client.data.forms.site_config import load_site, make_pseudonym
from client.worker.site.open_site import open_site
from client.worker.tasks.handlers import WORK

TESTS = Path(__file__).parents[1] / "support"
PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 32, flow_maps: 3, flow_size: 32, margin_px: 6}\n"


class Left:
    """A folder of all that commands leave: what they print, what they write, and temporary files."""

    def __init__(self, folder: Path, hospital: Path) -> None:
        self.folder, self.hospital = folder, hospital
        (folder / "tmp").mkdir(parents=True)
        (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
        self.environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "HOME": str(folder / "tmp")}
        self.environment["PYTHONPATH"] = os.pathsep.join([str(TESTS / "planted"), str(TESTS), *sys.path])

    def run(self, *commands: tuple[str, ...]) -> str:
        """Runs commands of `ceus-site` in a process of their own, and keeps what they print; the exit codes."""
        given = self.folder / "tmp" / "commands.txt"
        given.write_text("\n".join("\t".join(command) for command in commands), encoding="utf-8")
        command = [sys.executable, str(TESTS / "planted_cli.py"), str(given)]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False, cwd=self.folder)
        (self.folder / "printed.out").write_bytes(done.stdout)
        (self.folder / "printed.err").write_bytes(done.stderr)
        return done.stdout.decode().splitlines()[-1]

    def contents(self) -> dict[str, bytes]:
        """Every file's name and bytes, with the pieces of PNG files unpacked."""
        found = {}
        for path in (*self.folder.rglob("*"), *(self.hospital / ".ceus").rglob("*")):
            if path.is_file() and "matplotlib" not in str(path):
                found[str(path.relative_to(path.parents[2]))] = path.name.encode() + unpacked(path)
        return found


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".png":
        return content
    texts, at = b"", 8
    while at < len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + length]
        if kind in (b"zTXt", b"iTXt"):
            body = body + zlib.decompress(body[body.index(b"\0") + 2 :])
        texts += kind + body if kind != b"IDAT" else b""
        at += 12 + length
    return texts


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """All commands on the planted hospital, with and without workers that break."""
    folder = tmp_path_factory.mktemp("planted")
    hospital = write_planted(folder / "site")
    made = Left(folder / "left", hospital)
    site, plan = str(hospital), ("--plan", str(made.folder / "plan.yaml"))
    codes = made.run(
        ("check", site, "--json", "--html", str(made.folder / "page.html")),
        ("check", site),
        ("index", site, *plan, "--workers", "1"),
        ("index", site, *plan, "--workers", "1", "--json"),
        ("show", site, *plan, "--workers", "1"),
        ("bug", "index", site, *plan),
        ("index", f"{site}/nowhere"),
    )
    assert codes == "exit codes [1, 1, 0, 0, 0, 3, 1]"
    return made


def test_the_search_finds_every_spelling() -> None:
    for marker in MARKERS:
        for word in spellings(marker):
            if len(word) > 5:
                assert marker in found_in(b"\0abc" + word.upper() + b"xyz")
    assert found_in(HANZI.encode("utf-16-le")) == [HANZI]
    assert not found_in(b"nothing of the kind")


def test_the_hospital_is_full_of_names(left: Left) -> None:
    clips = [path for path in (left.hospital / "clips").rglob("*") if path.is_file()]
    outlines = [path for path in (left.hospital / "outlines").rglob("*") if path.is_file()]
    assert all(NAMES[1] in found_in(path.read_bytes()) for path in (*clips, *outlines))
    dicom = next(path for path in clips if path.name.endswith("native.dcm")).read_bytes()
    assert dicom.count(NAMES[0].encode()) > 1000
    assert set(IDS) <= set(found_in(dicom + (left.hospital / "lesions.csv").read_bytes()))
    report = next(path for path in outlines if path.suffix == ".dcm").read_bytes()
    assert {*NAMES[:2], HANZI, *IDS} <= set(found_in(report))
    for content in (dicom, report):
        assert set(NUMBERS.values()) <= set(found_in(content))
        assert all(content.count(number.encode()) > 10 for number in NUMBERS.values())


def test_all_good_lesions_are_read_and_the_broken_ones_counted(left: Left) -> None:
    told = (left.folder / "printed.out").read_text(encoding="utf-8")
    assert f"lesions read: {len(KINDS)} (newly made {len(KINDS)})" in told
    for count, reason in ((1, "reading-failed"), (1, "reading-crashed"), (2, "unreadable-clip")):
        assert re.search(rf"^ *{count} × .*\({reason}\)$", told, re.MULTILINE)


def test_nothing_that_is_left_holds_a_name(left: Left) -> None:
    contents = left.contents()
    for part in ("index.json", "look.json", "ledger.json", ".log", "page.html", "printed.err"):
        assert any(name.endswith(part) for name in contents), part
    assert sum(name.endswith(".safetensors") for name in contents) == len(KINDS)
    assert sum(name.endswith(".png") for name in contents) == len(KINDS) + 1
    assert {name: found for name, content in contents.items() if (found := found_in(content))} == {}


def test_nothing_of_a_study_holds_a_name(left: Left) -> None:
    told: list[str] = []
    site = open_site(left.hospital, load_processing(left.folder / "plan.yaml"), told.append, audited=True)
    samples = site.samples
    assert len(samples) == len(KINDS)
    for kind in WORK:
        nets = () if kind in ("hello", "tally") else ("disease/HM",)
        answer = site.handle(task(kind, nets))
        message = b"".join(bytes(part) for part in encode(answer))
        assert isinstance(answer, Update) or kind == "evaluate"
        assert not found_in(message)
        assert not any(sample.key.encode() in message or sample.patient.encode() in message for sample in samples)
    assert not found_in("\n".join(told).encode())
    assert (left.hospital / "records" / "audit.jsonl").stat().st_size > 1000
    for path in (*(left.hospital / ".ceus").rglob("*"), *(left.hospital / "records").rglob("*")):
        assert not (path.is_file() and found_in(path.read_bytes()))


def test_words_in_the_pictures_and_headers_change_nothing(left: Left, tmp_path: Path) -> None:
    """No reader of letters is needed: with other words on the screens, crops are the same to the last bit, and so are
    the sheets where no lossy compression lets a corner shine into the fan. MP4 is left out: its encoder spends other
    bits on the panes when the banner changes.
    """
    kinds = ("native.dcm", "packed.dcm", "stated.dcm", "film.avi")
    other = write_planted(tmp_path / "site", "SMITH JOHN MRN 99", kinds)
    again = Left(tmp_path / "left", other)
    more = (str(other), "--plan", str(again.folder / "plan.yaml"), "--workers", "1")
    assert again.run(("index", *more), ("show", *more)) == "exit codes [0, 0]"
    mine, theirs = (by_key(hospital) for hospital in (left.hospital, other))
    key = {kind: make_pseudonym(load_site(other), "lesion", f"{IDS[1]}-{kind}") for kind in kinds}
    assert set(mine) > set(theirs) == set(key.values())
    for kind in kinds:
        one, two = load_file(mine[key[kind]]), load_file(theirs[key[kind]])
        assert all(np.array_equal(one[name], two[name], equal_nan=True) for name in one), kind
    for kind in ("native.dcm", "stated.dcm"):
        one, two = (cv2.imread(str(h / ".ceus" / "sheets" / f"{key[kind]}.png")) for h in (left.hospital, other))
        assert np.array_equal(one, two), kind


def by_key(hospital: Path) -> dict[str, Path]:
    """Pseudonym → file of the cache."""
    found = {}
    for path in (hospital / ".ceus" / "cache").glob("*.safetensors"):
        content = path.read_bytes()
        at = content.index(b'\\"key\\": \\"') + 11
        found[content[at : at + 16].decode()] = path
    return found
