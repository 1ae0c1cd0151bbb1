"""MPEG-2, H.264 and HEVC in DICOM: the elementary stream, in one item or many, with times that somebody stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_clips import moving_disc, write_dicom

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.dicom import reader
from client.data.imaging.screen import Screen

DATA = Path(__file__).parents[4] / "data"
WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)
VIDEO = "1.2.840.10008.1.2.4.10"
STREAMS = {
    **dict.fromkeys((f"{VIDEO}0", f"{VIDEO}0.1", f"{VIDEO}1"), "stream.m2v"),
    **dict.fromkeys((f"{VIDEO}2", f"{VIDEO}3", f"{VIDEO}4.1", f"{VIDEO}6"), "stream.h264"),
    **dict.fromkeys((f"{VIDEO}7", f"{VIDEO}8"), "stream.hevc"),
}
TAGS = {"NumberOfFrames": 12, "Rows": 96, "Columns": 128}


def written(folder: Path, syntax: str, items: int, **tags: object) -> Path:
    content = (DATA / STREAMS[syntax]).read_bytes()
    cuts = np.linspace(0, len(content), items + 1).astype(int) // 2 * 2
    parts = [content[one:other] for one, other in zip(cuts[:-1], [*cuts[1:-1], len(content)], strict=True)]
    return write_dicom(folder / "a.dcm", parts, "YBR_PARTIAL_420", {**TAGS, **tags}, syntax)


@pytest.mark.parametrize("syntax", sorted(STREAMS))
@pytest.mark.parametrize("items", [1, 5])
def test_every_frame_of_a_stream_comes_back(tmp_path: Path, syntax: str, items: int) -> None:
    """The encoder's own loss is below 1.2 levels on average; a stream that is cut at an item would lack frames."""
    path = written(tmp_path, syntax, items, FrameTime=40.0)
    shown = np.stack([picture.copy() for picture in reader.open(path).pictures()])
    assert shown.shape == (12, 96, 128, 3)
    assert np.abs(shown.astype(int) - moving_disc()).mean() < 1.5
    clip = open_clip(path, 0.0, None, [WHOLE])
    assert (clip.times_from, clip.seconds[-1]) == ("FrameTime", pytest.approx(0.44))
    assert len(reader.open(path).sample_pictures(4)) >= 3


def test_a_rate_that_the_decoder_made_up_is_not_believed(tmp_path: Path) -> None:
    """FFmpeg says 25 Hz of a bare H.264 stream that says nothing; this one was drawn at 10 Hz."""
    path = written(tmp_path, f"{VIDEO}2", 1)
    with pytest.raises(ClipError, match="frame_rate_hz") as caught:
        open_clip(path, 0.0, None, [WHOLE])
    assert caught.value.reason == "no-frame-times"
    clip = open_clip(path, 0.0, 10.0, [WHOLE])
    assert (clip.times_from, clip.seconds[-1]) == ("manifest", pytest.approx(1.1))


def test_mpeg_2_states_its_rate(tmp_path: Path) -> None:
    clip = open_clip(written(tmp_path, f"{VIDEO}0", 1), 0.0, None, [WHOLE])
    assert clip.times_from == "container"
    assert np.diff(clip.seconds) == pytest.approx([0.04] * 11)


def test_what_is_no_stream_is_a_clip_error(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", [b"no stream at all"], "YBR_PARTIAL_420", TAGS, f"{VIDEO}7")
    with pytest.raises(ClipError, match="decoded"):
        reader.open(path)


def test_a_stream_of_another_size_than_the_header_says_is_refused(tmp_path: Path) -> None:
    """The header's regions would cut another part out of it."""
    with pytest.raises(ClipError, match="another size than the header"):
        reader.open(written(tmp_path, f"{VIDEO}2", 1, FrameTime=40.0, Columns=120))
