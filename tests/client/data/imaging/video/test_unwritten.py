"""No memory that the decoder did not write reaches a level: spoilt videos give the same whatever the memory held.

A library that is loaded before FFmpeg fills the memory that its pool hands to decoders; glibc fills all other memory.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from made_clips import moving_disc
from made_videos import FORMS, films, write_film

from client.data.imaging.clip import ClipError
from client.data.imaging.video.unwritten import refuse_unwritten

SUPPORT = Path(__file__).parents[4] / "support"
POISONS = ("17", "238")
WITH_GLIBC = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or shutil.which("cc") is None, reason="memory is filled by glibc and a C library"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that fills what the pool hands out."""
    path = tmp_path_factory.mktemp("library") / "poison.so"
    source = SUPPORT / "poisoned_pool.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(path), str(source), "-ldl"], check=True)
    return path


def environment(library: Path, poison: str, **more: str) -> Mapping[str, str]:
    utilities = next((Path(av.__file__).parents[1] / "av.libs").glob("libavutil*"))
    filled = {"POISON": poison, "POISON_LIBRARY": str(utilities), "LD_PRELOAD": str(library), "MALLOC_PERTURB_": poison}
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path]), **filled, **more}


def read_all(folder: Path, library: Path, count: int, seed: int, **more: str) -> list[list[str]]:
    """What came of each spoilt video, with either filling."""
    command = [sys.executable, str(SUPPORT / "poisoned_reading.py"), str(folder), str(count), str(seed)]
    runs = [
        subprocess.run(command, env=environment(library, poison, **more), capture_output=True, text=True, check=True)
        for poison in POISONS
    ]
    assert not any(run.stderr for run in runs)
    return [run.stdout.splitlines() for run in runs]


def sorted_films(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Folders of videos with what their codecs need: HEVC is known by its chroma, whose memory is zero."""
    for part, more in (("hevc", {"LUMA_ONLY": "1"}), ("others", {})):
        (folder / part / "spoilt").mkdir(parents=True)
        yield folder / part, more
    for path in films(folder):
        path.rename(folder / ("hevc" if "hevc" in path.name else "others") / path.name)


def check_films(folder: Path, library: Path, counts: Mapping[str, int], seed: int) -> None:
    for part, more in list(sorted_films(folder)):
        one, other = read_all(part, library, counts[part.name], seed, **more)
        assert len(one) == counts[part.name]
        assert one == other
        refused = sum(" refused " in line for line in one)
        assert 0.3 * len(one) < refused < 0.9 * len(one)
        good = len([path for path in part.iterdir() if path.is_file()])
        assert not [line for line in one[:good] if " refused " in line]


@WITH_GLIBC
def test_spoilt_videos_show_nothing_that_was_not_written(tmp_path: Path, library: Path) -> None:
    check_films(tmp_path, library, {"hevc": 40, "others": 160}, 3)


@pytest.mark.slow
@WITH_GLIBC
@pytest.mark.timeout(1800)
def test_two_thousand_spoilt_videos_show_nothing_that_was_not_written(tmp_path: Path, library: Path) -> None:
    check_films(tmp_path, library, {"hevc": 600, "others": 2400}, 4)


@WITH_GLIBC
def test_the_memory_is_filled(tmp_path: Path, library: Path) -> None:
    """So that the tests above can fail: what lies beside a picture in its memory differs."""
    path = write_film(tmp_path / "a.mp4", moving_disc(2)[:, :, :100], FORMS["mpeg4.mp4"])
    program = (
        "import av, sys, zlib; print([zlib.crc32(bytes(f.planes[0])) for f in av.open(sys.argv[1]).decode(video=0)])"
    )
    command = [sys.executable, "-c", program, str(path)]
    told = [
        subprocess.run(command, env=environment(library, poison), capture_output=True, check=True).stdout
        for poison in POISONS
    ]
    assert told[0] != told[1]


def frame(luma: int, chroma: int, missing: tuple[int, int] = (0, 0), pixels: str = "yuv420p") -> av.VideoFrame:
    """missing: rows and columns of chroma that are zero."""
    made = av.VideoFrame(64, 48, pixels)
    for plane, level in zip(made.planes, (luma, chroma, chroma), strict=True):
        rows = np.full((plane.height, plane.line_size), level, np.uint8)
        if plane is not made.planes[0]:
            rows[: missing[0], : missing[1] * (2 if "10" in pixels else 1)] = 0
        plane.update(rows.tobytes())
    return made


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_a_picture_without_chroma_in_a_part_is_refused(pixels: str) -> None:
    good = [frame(0, 1, (3, 5), pixels), frame(255, 128, pixels=pixels)]
    assert list(refuse_unwritten(iter(good))) == good
    with pytest.raises(ClipError, match="a part is missing"):
        list(refuse_unwritten(iter([*good, frame(90, 128, (4, 4), pixels)])))


def test_memory_goes_back_without_chroma() -> None:
    """Of the frame that nothing refers to any more, 17 frames later; luma stays."""
    frames = [frame(100, 128) for _ in range(19)]
    seen = []
    for number, _ in enumerate(refuse_unwritten(iter(frames))):
        seen.append(bytes(frames[0].planes[1])[0])
        assert bytes(frames[number].planes[1])[0] == 128
    assert seen == [128] * 18 + [0]
    assert bytes(frames[0].planes[0])[0] == 100


def test_pictures_that_are_kept_for_longer_are_refused() -> None:
    """As by a stream that refers to a picture for ever: it cannot be known again once its memory is handed out."""
    frames = [frame(100, 128) for _ in range(19)]
    kept = np.from_dlpack(frames[0].planes[0])
    with pytest.raises(ClipError, match="refer to after more than"):
        list(refuse_unwritten(iter(frames)))
    assert kept[0, 0] == 100


def test_grey_hevc_is_refused() -> None:
    with pytest.raises(ClipError, match="without chroma"):
        list(refuse_unwritten(iter([av.VideoFrame(64, 48, "gray")])))
