"""The frames of a pane on disk: what goes in comes out, nothing stays behind, and memory stays flat."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from made_clips import write_dicom
from made_frames import frames_of, tape_of

from client.data.imaging import frame_store
from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.frame_store import FrameFile, chain_frames
from tests.client.data.imaging.video.test_reader import DUAL

U8 = npt.NDArray[np.uint8]
JPEG = "1.2.840.10008.1.2.4.50"


def noise(frames: int, rows: int = 20, columns: int = 30, seed: int = 0) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (frames, rows, columns), dtype=np.uint8)


def test_frames_come_back_whole_and_in_part() -> None:
    levels = noise(9)
    frames = frames_of(levels)
    assert frames.shape == levels.shape
    assert np.array_equal(np.stack(frames), levels)
    assert np.array_equal(frames[-1], levels[8])
    assert np.array_equal(np.stack(frames[2:7:2]), levels[2:7:2])
    part = frames.crop((5, 3, 25, 18)).crop((1, 2, 10, 9))
    assert np.array_equal(np.stack(part.select(np.array([7, 1]))), levels[[7, 1], 5:12, 6:15])
    assert part.means == pytest.approx(levels.mean(axis=(1, 2)))
    with pytest.raises(IndexError):
        frames[9]


def test_clips_are_one_sequence() -> None:
    runs = [noise(4, seed=1), noise(3, seed=2), noise(5, seed=3)]
    both = chain_frames([chain_frames(map(frames_of, runs[:2])), frames_of(runs[2])])
    assert np.array_equal(np.stack(both), np.concatenate(runs))
    assert both.means == pytest.approx(np.concatenate(runs).mean(axis=(1, 2)))
    assert not chain_frames([])


def test_what_is_masked_is_gone_from_the_disk_too() -> None:
    levels, mask = noise(5), np.tri(20, 30, dtype=bool)
    tape = tape_of(levels)
    earlier = tape.to_frames()
    tape.apply_mask(mask)
    assert np.array_equal(np.stack(earlier), levels * mask)
    assert tape.to_frames().means == pytest.approx((levels * mask).mean(axis=(1, 2)))


def test_a_full_disk_is_a_fault_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "/home/DOE")

    tape = tape_of(noise(3))
    for write in (full, lambda *_: 7):  # nothing, and a part of a frame
        monkeypatch.setattr(os, "pwrite", write)
        with pytest.raises(ClipError) as caught:
            tape.add(noise(1)[0])
        assert caught.value.reason == "disk-full"
        assert "after 3 frames" in str(caught.value)
        assert "DOE" not in str(caught.value)
    monkeypatch.undo()
    assert len(tape.to_frames()) == 3


def test_the_next_clip_is_written_over_the_last_one_and_shows_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = noise(6), noise(4)[:, ::2]
    tape = FrameFile(*first.shape[1:], tmp_path)
    for frame in first:
        tape.add(frame)
    del tape
    gc.collect()
    again = FrameFile(*second.shape[1:], tmp_path)
    for frame in second:
        again.add(frame)
    assert opened_below(tmp_path) == 1
    assert np.array_equal(np.stack(list(again.to_frames())), second)
    monkeypatch.setattr(frame_store, "_KEPT_BYTES", 1)
    del again
    gc.collect()
    assert opened_below(tmp_path) == 0  # too large to be kept


KILLED = """\
import os, signal, sys, numpy as np
from pathlib import Path
from client.data.imaging.frame_store import FrameFile
tape = FrameFile(100, 100, Path(sys.argv[1]))
tape.add(np.full((100, 100), 65, np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


def opened_below(folder: Path) -> int:
    """Open files of this process that lie, or lay, in a folder."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found.append(str(link.readlink()).startswith(str(folder)))
    return sum(found)


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """Neither a name while a tape is there, nor more than two files of one folder after it, nor any after `kill -9`."""
    tapes = [FrameFile(10, 10, tmp_path / "work") for _ in range(5)]
    assert list((tmp_path / "work").iterdir()) == []
    assert opened_below(tmp_path) == 5
    tapes.clear()
    gc.collect()
    assert opened_below(tmp_path) == 2
    elsewhere = FrameFile(10, 10, tmp_path / "another hospital")
    assert opened_below(tmp_path) == 1
    del elsewhere
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "work"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "work").iterdir()) == []


def screens(count: int) -> list[bytes]:
    """JPEGs of a dual view in which both panes move, of 24 different pictures."""
    draw = np.random.default_rng(5)
    pictures = [cv2.imencode(".jpg", draw.integers(0, 255, (96, 160, 3), dtype=np.uint8))[1] for _ in range(24)]
    return [pictures[number % 24].tobytes() for number in range(count)]


def test_memory_does_not_grow_with_the_length_of_a_clip(tmp_path: Path) -> None:
    """A frame more costs its time and its mean, not its 13 KB of levels."""
    most = {}
    for count in (60, 300, 1200):
        tags = {"FrameTime": 50.0, "NumberOfFrames": count, "Rows": 96, "Columns": 160}
        path = write_dicom(tmp_path / "a.dcm", screens(count), "YBR_FULL_422", tags, JPEG)
        tracemalloc.start()
        clip = open_clip(path, 0.0, None, [DUAL])
        assert sum(int(frame[0, 0]) >= 0 for frame in clip.contrast) == count
        most[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most[1200] - most[300] < 900 * 1_000


def test_means_are_those_of_opencv_to_the_last_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    for rows, columns in ((480, 380), (33, 17), (601, 799)):
        file = FrameFile(rows, columns, tmp_path)
        whole = draw.integers(0, 256, (2 * rows, 2 * columns), np.uint8)
        shown = [whole[:rows, columns:], np.ascontiguousarray(whole[rows:, :columns])]
        for frame in shown:
            file.add(frame)
        assert file.means == [cv2.mean(frame)[0] for frame in shown]
