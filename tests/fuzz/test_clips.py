"""Mutated clips give a ClipError or a clip: never another exception, a crash, much memory, or a hang."""

from __future__ import annotations

import faulthandler
import random
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from made_clips import jpeg, moving_disc, region, write_dicom
from pydicom.uid import DeflatedExplicitVRLittleEndian
from spoilt_clips import read_spoilt

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.screen import Screen

DATA = Path(__file__).parents[1] / "data"
WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)
JPEG = "1.2.840.10008.1.2.4."
GROWTH_KIB = 1 << 20
"""What a mutated file may take beyond what the tests take already: 1 GiB, so that a worker stays under 2 GiB."""


def clips(folder: Path) -> Iterator[Path]:
    """Small good files of every kind of reader."""
    rgb = moving_disc(4)
    tags = {"FrameTime": 100.0, "NumberOfFrames": 4, "Rows": 96, "Columns": 128}
    tags["SequenceOfUltrasoundRegions"] = [region((0, 0, 64, 96)), region((64, 0, 128, 96))]
    encoders = {
        f"{JPEG}50": jpeg,
        f"{JPEG}70": lambda p: imagecodecs.jpeg8_encode(p, lossless=True, colorspace="rgb", outcolorspace="rgb"),
        f"{JPEG}80": imagecodecs.jpegls_encode,
        f"{JPEG}90": lambda p: imagecodecs.jpeg2k_encode(p, level=0, codecformat="j2k", reversible=True),
        f"{JPEG}201": imagecodecs.htj2k_encode,
    }
    for number, (syntax, encode) in enumerate(encoders.items()):
        kind = "YBR_FULL_422" if number == 0 else "RGB"
        yield write_dicom(folder / f"{number}.dcm", [encode(p) for p in rgb], kind, tags, syntax)
    stated = {name: tags[name] for name in ("FrameTime", "SequenceOfUltrasoundRegions")}
    yield write_dicom(folder / "native.dcm", rgb[:2], "RGB", stated)
    yield write_dicom(
        folder / "grey.dcm", rgb[:2, ..., 0].astype("u2") * 200, "MONOCHROME2", stated, "1.2.840.10008.1.2"
    )
    yield write_dicom(folder / "deflated.dcm", rgb[:2], "RGB", stated, DeflatedExplicitVRLittleEndian)
    for name, code in (("a.avi", "MJPG"), ("a.mp4", "mp4v")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10.0, (128, 96))
        for picture in rgb:
            writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
        writer.release()
        yield folder / name
    stream = (DATA / "stream.h264").read_bytes()
    yield write_dicom(folder / "h264.dcm", [stream], "YBR_PARTIAL_420", {**tags, "NumberOfFrames": 12}, f"{JPEG}102")
    yield DATA / "clip.wmv"


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut out, doubled or cut off; most of them near the start, where headers lie."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(changed) if draw.random() < 0.5 else min(len(changed), 1500))
        kind = draw.randrange(5)
        if kind == 0:
            changed[at] = draw.randrange(256)
        elif kind == 1:
            changed[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x9f\x86\1\0"))
        elif kind == 2:
            del changed[at : at + draw.randrange(1, 64)]
        elif kind == 3:
            changed[at:at] = changed[at : at + draw.randrange(1, 64)]
        elif draw.random() < 0.3:
            del changed[at:]
        if not changed:
            break
    return bytes(changed)


def fuzz(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Files read and refused."""
    (folder / "good").mkdir()
    return read_spoilt(folder, clips(folder / "good"), mutated, WHOLE, (count, seed, GROWTH_KIB))


def test_the_good_files_are_read(tmp_path: Path) -> None:
    for path in clips(tmp_path):
        assert np.stack(open_clip(path, 0.0, 10.0, [WHOLE]).contrast).max() > 100


def test_mutated_clips(tmp_path: Path) -> None:
    faulthandler.enable(sys.__stderr__)
    read, refused = fuzz(tmp_path, 300, 1)
    assert min(read, refused) > 30  # mutations that all read, or none, would test nothing


@pytest.mark.slow
def test_many_mutated_clips(tmp_path: Path) -> None:
    read, refused = fuzz(tmp_path, 6000, 2)
    assert min(read, refused) > 600


HUGE = {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 10**9}


@pytest.mark.parametrize("tag", sorted(HUGE))
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", f"{JPEG}50", f"{JPEG}90"])
def test_headers_that_claim_too_much_are_refused_before_memory_is_taken(tmp_path: Path, tag: str, syntax: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rgb = moving_disc(4)
    tags = {"FrameTime": 100.0, "NumberOfFrames": 4, "Rows": 96, "Columns": 128, tag: HUGE[tag]}
    pixels = rgb if syntax.endswith("2.1") else [jpeg(picture) for picture in rgb]
    path = write_dicom(tmp_path / "a.dcm", pixels, "RGB", tags, syntax)
    with pytest.raises(ClipError) as caught:
        open_clip(path, 0.0, None, [WHOLE])
    assert caught.value.reason in ("unreadable-clip", "unknown-panes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
