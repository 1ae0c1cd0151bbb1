"""Frames at given times: the right ones, found by jumps only where a jump spares decoding."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_clips import moving_disc
from made_videos import FORMS, Form, write_film

from client.data.imaging.recording import spread_indices
from client.data.imaging.video import reader as video
from client.data.imaging.video.decoder import OpenStream, open_stream
from client.data.imaging.video.glances import find_frames

ONE_GROUP = Form("libx264", options={"g": "600", "sc_threshold": "0", "bf": "0"})


def jumps(path: Path, count: int) -> tuple[list[int], int]:
    """Numbers of the frames that are found, and how often the file was gone to anew."""
    with open_stream(path) as opened:
        times = []
        true = OpenStream.decode

        def counted(self: OpenStream, jumped: bool = False) -> object:
            times.append(jumped)
            return true(self, jumped)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(OpenStream, "decode", counted)
            step = opened.duration // 120
            found = list(find_frames(opened, spread_indices(opened.duration, count)))
        start = opened.stream.start_time or 0
        return [round(((one.pts or 0) - start) / step) for one in found], len(times)


@pytest.mark.parametrize("name", ["mjpeg.avi", "mpeg4.mp4", "h264.mp4", "hevc.mp4", "huffyuv.avi"])
def test_frames_of_the_middle_of_each_part_are_found(tmp_path: Path, name: str) -> None:
    path = write_film(tmp_path / name, moving_disc(120), FORMS[name])
    assert jumps(path, 3)[0] == [20, 60, 100]
    assert jumps(path, 16)[0] == pytest.approx([3.75 + 7.5 * number for number in range(16)], abs=1)


def test_a_file_of_one_group_is_decoded_once(tmp_path: Path) -> None:
    found, jumped = jumps(write_film(tmp_path / "a.mp4", moving_disc(120), ONE_GROUP), 16)
    assert (len(found), jumped) == (16, 1)


def test_where_every_frame_stands_alone_each_is_jumped_to(tmp_path: Path) -> None:
    assert jumps(write_film(tmp_path / "a.avi", moving_disc(120), FORMS["mjpeg.avi"]), 3)[1] == 3


def test_no_frame_is_found_twice(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.avi", moving_disc(5), FORMS["mjpeg.avi"])
    with open_stream(path) as opened:
        found = [one.pts for one in find_frames(opened, [0, 0, 1, 1, 3, 4, 4])]
    assert found == [0, 1, 3, 4]
    assert len(video.open(path).sample_pictures(16)) == 5
