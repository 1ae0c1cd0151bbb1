"""Files that were cut off in a copy are noticed; files whose counts lie are not blamed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_clips import moving_disc

from client.data.imaging.clip import ClipError, open_clip, probe_clip
from client.data.imaging.screen import Screen
from client.data.imaging.video import reader as video
from client.data.imaging.video.truncation import compute_missing_share

DATA = Path(__file__).parents[4] / "data"
WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)


def avi(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (128, 96))
    for picture in moving_disc(12):
        writer.write(np.ascontiguousarray(picture))
    writer.release()
    return path


@pytest.mark.parametrize("name", ["liver_sweep_vfr.mp4", "liver_sweep_23fps_mjpg.avi", "clip.wmv", "stream.h264"])
def test_good_files_miss_nothing(name: str) -> None:
    assert compute_missing_share(DATA / name) == 0


@pytest.mark.parametrize("name", ["liver_sweep_vfr.mp4", "liver_sweep_23fps_mjpg.avi", "clip.wmv"])
def test_what_is_cut_misses_as_much(tmp_path: Path, name: str) -> None:
    content = (DATA / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) - 1000])
    assert compute_missing_share(tmp_path / name) == pytest.approx(1000 / len(content), rel=0.01)


@pytest.mark.parametrize("name", ["a.avi", "clip.wmv"])
def test_a_clip_cut_in_the_middle_is_refused(tmp_path: Path, name: str) -> None:
    """It plays to the cut without a complaint; its curve would end there."""
    source = avi(tmp_path / "whole.avi") if name == "a.avi" else DATA / name
    content = source.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    for read in (open_clip, probe_clip):
        with pytest.raises(ClipError, match="cut off") as caught:
            read(tmp_path / name, 0.0, None, [WHOLE])
        assert caught.value.reason == "unreadable-clip"


def test_a_cut_of_the_last_frame_is_told_by_the_frames(tmp_path: Path) -> None:
    """Less than 2 % is missing, so the stated frames decide; in a good file they decide nothing."""
    content = (DATA / "liver_sweep_23fps_mjpg.avi").read_bytes()
    end = content.index(b"idx1")
    (tmp_path / "index.avi").write_bytes(content[:end])
    assert 0 < compute_missing_share(tmp_path / "index.avi") < 0.02
    assert video.open(tmp_path / "index.avi").length() == 140
    (tmp_path / "frames.avi").write_bytes(content[: content.rindex(b"00dc", 0, end)])
    with pytest.raises(ClipError, match="139 of 140 frames"):
        video.open(tmp_path / "frames.avi").length()
    (tmp_path / "within.avi").write_bytes(content[: end - 1000])
    with pytest.raises(ClipError, match="within a frame"):
        video.open(tmp_path / "within.avi").length()


def test_an_mp4_cut_in_the_middle_is_refused(tmp_path: Path) -> None:
    content = (DATA / "liver_sweep_vfr.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(ClipError):
        video.open(tmp_path / "a.mp4").length()


def test_sizes_that_a_recorder_left_open_are_no_cut(tmp_path: Path) -> None:
    content = bytearray(avi(tmp_path / "a.avi").read_bytes())
    content[4:8] = b"\0\0\0\0"
    (tmp_path / "a.avi").write_bytes(content)
    assert compute_missing_share(tmp_path / "a.avi") == 0
    assert len(open_clip(tmp_path / "a.avi", 0.0, None, [WHOLE]).contrast) == 12
