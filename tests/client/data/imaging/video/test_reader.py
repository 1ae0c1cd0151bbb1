"""AVI and MP4: frames counted by reading, true time stamps, and the manifest's rate above the container's."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_hospital import FRAMES, PEAK, write_avi

from client.data.imaging.clip import READERS, ClipError, open_clip, probe_clip
from client.data.imaging.screen import Screen

DATA = Path(__file__).parents[4] / "data"
MP4, AVI = DATA / "liver_sweep_vfr.mp4", DATA / "liver_sweep_23fps_mjpg.avi"
DUAL = Screen("*", 96, 160, (0, 16, 80, 96), (80, 16, 160, 96), "gold", 60.0)


def claim(path: Path, frames: int) -> None:
    """Writes a wrong number of frames into an AVI's headers."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        at = content.index(mark) + offset
        assert int.from_bytes(content[at : at + 4], "little") == FRAMES
        content[at : at + 4] = frames.to_bytes(4, "little")
    path.write_bytes(content)


def test_the_mp4_has_its_true_time_stamps() -> None:
    clip = open_clip(MP4, 0.0, None, ())
    truth = np.loadtxt(DATA / "frame_times_s.csv")
    assert clip.contrast.shape == (140, 592, 738)
    assert np.abs(clip.seconds - truth).max() < 1e-6
    assert np.ptp(np.diff(truth)) > 0.05  # irregular, so a mean rate would not pass


def test_the_avi_has_its_own_rate_unless_the_manifest_says_otherwise() -> None:
    assert np.diff(open_clip(AVI, 0.0, None, ()).seconds) == pytest.approx([1 / 23] * 139)
    assert probe_clip(AVI, 12.0, 10.0, ()).last_s == pytest.approx(12.0 + 139 / 10)
    assert probe_clip(MP4, 0.0, 10.0, ()).last_s == pytest.approx(13.9)


@pytest.mark.parametrize("claimed", [3, 999])
def test_frames_are_counted_by_reading(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "a.avi"
    write_avi(path)
    claim(path, claimed)
    capture = cv2.VideoCapture(str(path))
    lie = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    assert lie == claimed
    assert len(open_clip(path, 0.0, None, ()).contrast) == FRAMES
    assert probe_clip(path, 0.0, None, ()).frames == FRAMES


def test_the_template_splits_the_screen_and_undoes_the_tint(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    write_avi(path)
    clip = open_clip(path, 5.0, 10.0, [DUAL])
    assert clip.bmode is not None
    assert clip.contrast.shape == clip.bmode.shape == (FRAMES, 80, 80)
    assert (clip.offset, clip.bmode_offset, clip.rows, clip.columns) == ((0, 16), (80, 16), 96, 160)
    assert (clip.layout, clip.dynamic_range_db) == ("template", 60.0)
    assert clip.seconds[[0, -1]] == pytest.approx([5.0, 5.0 + 2.3])
    assert float(clip.contrast[PEAK][30:48, 26:44].mean()) == pytest.approx(217, abs=4)  # the lesion at its peak
    assert np.ptp(clip.bmode.means) < 1  # tissue stays as it is


def test_panes_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_avi(tmp_path / "a.avi")
    uneven = Screen("*", 96, 160, (0, 16, 80, 96), (80, 16, 130, 96), "gold", 60.0)
    with pytest.raises(ClipError, match="one size"):
        open_clip(tmp_path / "a.avi", 0.0, None, [uneven])


def test_a_file_without_any_time_is_refused(tmp_path: Path) -> None:
    """A bare stream under a video's name: FFmpeg would make up 25 Hz of it, it was drawn at 10 Hz."""
    shutil.copy(DATA / "stream.h264", tmp_path / "a.mp4")
    for read in (open_clip, probe_clip):
        with pytest.raises(ClipError, match="frame_rate_hz") as caught:
            read(tmp_path / "a.mp4", 0.0, None, ())
        assert caught.value.reason == "no-frame-times"
        read(tmp_path / "a.mp4", 0.0, 10.0, ())


def test_what_is_no_video_is_a_clip_error(tmp_path: Path) -> None:
    write_avi(tmp_path / "a.avi")
    (tmp_path / "cut.avi").write_bytes((tmp_path / "a.avi").read_bytes()[:300])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.avi").touch()
    with pytest.raises(ClipError, match="an empty file"):
        open_clip(tmp_path / "empty.avi", 0.0, None, [])
    for name in ("cut.avi", "text.mp4", "empty.avi", "missing.avi", "a.gif"):
        with pytest.raises(ClipError) as caught:
            open_clip(tmp_path / name, 0.0, 10.0, ())
        expected = {"missing.avi": "missing-clip", "a.gif": "unknown-clip-format"}.get(name, "unreadable-clip")
        assert caught.value.reason == expected
        assert not {"cut", "text", "missing"} & set(str(caught.value).replace(".", " ").split())


def test_every_reader_has_its_suffix() -> None:
    assert set(READERS) >= {".dcm", "", ".avi", ".mp4"}
