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
from made_videos import FORMS, Form, films, write_film

from client.data.imaging.clip import ClipError
from client.data.imaging.video import decoder, reader, unwritten
from client.data.imaging.video.decoder import open_stream
from client.data.imaging.video.unwritten import GUARDED, refuse_unwritten

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
    """Folders of videos with what their codecs need: guarded ones are known by chroma, whose memory is zero."""
    for part, more in (("guarded", {"LUMA_ONLY": "1"}), ("others", {})):
        (folder / part / "spoilt").mkdir(parents=True)
        yield folder / part, more
    for path in films(folder):
        with open_stream(path) as opened:
            part = "guarded" if opened.stream.codec_context.name in GUARDED else "others"
        path.rename(folder / part / path.name)


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
    check_films(tmp_path, library, {"guarded": 120, "others": 80}, 3)


@pytest.mark.slow
@WITH_GLIBC
@pytest.mark.timeout(1800)
def test_two_thousand_spoilt_videos_show_nothing_that_was_not_written(tmp_path: Path, library: Path) -> None:
    check_films(tmp_path, library, {"guarded": 1800, "others": 1200}, 4)


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
    assert list(refuse_unwritten(iter(good), "mpeg4")) == good
    with pytest.raises(ClipError, match="a part is missing"):
        list(refuse_unwritten(iter([*good, frame(90, 128, (4, 4), pixels)]), "mpeg4"))


def test_memory_goes_back_without_chroma(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the frame that nothing refers to any more, 17 frames later; luma stays."""
    monkeypatch.setitem(unwritten.GUARDED, "hevc", (17, 0))
    frames = [frame(100, 128) for _ in range(19)]
    seen = []
    for number, _ in enumerate(refuse_unwritten(iter(frames), "hevc")):
        seen.append(bytes(frames[0].planes[1])[0])
        assert bytes(frames[number].planes[1])[0] == 128
    assert seen == [128] * 18 + [0]
    assert bytes(frames[0].planes[0])[0] == 100


def test_small_pictures_wait_longer() -> None:
    frames = [frame(100, 128) for _ in range(70)]
    assert len(list(refuse_unwritten(iter(frames), "hevc"))) == 70
    assert [bytes(one.planes[1])[0] for one in frames] == [0] * 6 + [128] * 64


def test_a_picture_that_is_still_referred_to_is_left_alone() -> None:
    frames = [frame(100, 128) for _ in range(70)]
    kept = np.from_dlpack(frames[0].planes[1])
    assert len(list(refuse_unwritten(iter(frames), "hevc"))) == 70
    assert kept[0, 0] == 128


@pytest.mark.parametrize("name", FORMS)
def test_what_goes_back_changes_no_picture(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the shortest wait, over many groups of pictures, as if nothing were cleared."""
    path = write_film(tmp_path / name, moving_disc(90), FORMS[name])
    monkeypatch.setitem(unwritten.GUARDED, "hevc", (17, 0))
    shown = [picture.tobytes() for picture in reader.open(path).pictures()]
    monkeypatch.setattr(decoder, "refuse_unwritten", lambda frames, codec: frames)
    assert shown == [picture.tobytes() for picture in reader.open(path).pictures()]
    assert len(shown) == 90


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_streams_that_refer_far_back_are_read(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many references and pictures between them that none refers to."""
    coding = {"x265-params": "log-level=none:ref=8:bframes=4:b-pyramid=0:keyint=200"}
    if codec == "libx264":
        coding = {"x264-params": "ref=16:bframes=8:b-pyramid=none:keyint=200"}
    path = write_film(tmp_path / "a.mp4", moving_disc(150), Form(codec, options=coding))
    monkeypatch.setitem(unwritten.GUARDED, "hevc", (17, 0))
    shown = np.stack(list(reader.open(path).pictures()))
    assert np.abs(shown.astype(int) - moving_disc(150)).mean() < 1


def test_grey_pictures_are_refused() -> None:
    with pytest.raises(ClipError, match="a grey picture"):
        list(refuse_unwritten(iter([av.VideoFrame(64, 48, "gray")]), "hevc"))
