"""What the decoder did not write whole ends the file, with a count and without names; nothing else is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from made_clips import moving_disc
from made_videos import FORMS, REFUSED, Form, write_film

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.screen import Screen
from client.data.imaging.video import reader as video
from client.data.imaging.video.decoder import CODECS, open_stream

WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)
LONG = Form("libx264", options={"g": "60", "bf": "0", "sc_threshold": "0"})


@contextmanager
def printed() -> Iterator[list[bytes]]:
    """What is written to the descriptors of the terminal, past Python's own streams."""
    found: list[bytes] = []
    reading, writing = os.pipe()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        for descriptor in (1, 2):
            os.dup2(writing, descriptor)
        yield found
    finally:
        for descriptor, old in zip((1, 2), kept, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
        os.close(writing)
        found.append(
            os.read(reading, 1 << 16) if os.set_blocking(reading, False) is None and _has_bytes(reading) else b""
        )
        os.close(reading)


def _has_bytes(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], 0)[0])


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_video_is_read_as_it_was_drawn(tmp_path: Path, name: str) -> None:
    """On average within what the codec loses; every frame at its time."""
    path = write_film(tmp_path / name, moving_disc(40), FORMS[name])
    recording = video.open(path)
    shown = np.stack(list(recording.pictures()))
    rate = FORMS[name].rate
    assert len(shown) == recording.length() == 40
    assert recording.times(40, None).seconds[-1] == pytest.approx(39 / rate, abs=1.01 / rate)
    if shown.shape[2] == 128:
        assert np.abs(shown.astype(int) - moving_disc(40)).mean() < 3.5
    assert 5 <= len(recording.sample_pictures(8)) <= 8


@pytest.mark.parametrize("name", REFUSED)
def test_codecs_whose_damage_cannot_be_told_are_refused(tmp_path: Path, name: str) -> None:
    path = write_film(tmp_path / name, moving_disc(4), REFUSED[name])
    with pytest.raises(ClipError, match="the codec") as caught:
        open_clip(path, 0.0, None, [WHOLE])
    assert caught.value.reason == "unknown-clip-format"
    assert not set(CODECS) & {form.codec for form in REFUSED.values()}


def test_a_damaged_picture_in_the_middle_ends_the_file(tmp_path: Path) -> None:
    """A player shows what it can; its levels would be those of an older picture."""
    path = write_film(tmp_path / "a.avi", moving_disc(30), Form("libx264", options={"bf": "0"}))
    content = bytearray(path.read_bytes())
    at = [place for place in range(len(content)) if content[place : place + 4] == b"00dc"][15]
    content[at + 30 : at + 60] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(ClipError, match="damaged picture after|cannot be decoded"):
        list(video.open(path).pictures())


def test_pictures_that_refer_to_others_before_the_file_are_counted(tmp_path: Path) -> None:
    """A stream cut out of a longer one."""
    write_film(tmp_path / "a.h264", moving_disc(40), LONG)
    with av.open(str(tmp_path / "a.h264")) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    headers = packets[0][: packets[0].index(b"\0\0\1\x65")]  # all before the picture that refers to none
    (tmp_path / "b.mp4").write_bytes(headers + b"".join(packets[6:]))
    with pytest.raises(ClipError, match="34 pictures that all refer to others before it"):
        video.open(tmp_path / "b.mp4")


def test_leading_pictures_of_an_open_group_are_counted(tmp_path: Path) -> None:
    """MPEG-2 whose first picture in the file is not the first one that is shown."""
    form = Form("mpeg2video", options={"g": "9", "bf": "2"}, rate=25)
    write_film(tmp_path / "a.m2v", moving_disc(40), form)
    content = (tmp_path / "a.m2v").read_bytes()
    group = b"\0\0\1\xb8"
    second = content.index(group, content.index(group) + 4)
    start = content.rindex(b"\0\0\1\xb3", 0, second) if content.find(b"\0\0\1\xb3", 4) > 0 else second
    head = content[: content.index(group)]
    (tmp_path / "b.mp4").write_bytes((b"" if start != second else head) + content[start:])
    with pytest.raises(ClipError, match="2 pictures at its start"):
        video.open(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:{0}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{0}'\n",
        "v=0\ns=x\nm=video 5004 RTP/AVP 96\n",
    ],
)
def test_a_list_of_other_files_is_no_video(tmp_path: Path, content: str) -> None:
    other = write_film(tmp_path / "other.mp4", moving_disc(3), FORMS["mpeg4.mp4"])
    (tmp_path / "a.mp4").write_text(content.format(other))
    with pytest.raises(ClipError, match="cannot be opened"):
        video.open(tmp_path / "a.mp4")


def test_a_name_with_digits_is_one_file(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a%03d.avi", moving_disc(3), FORMS["mjpeg.avi"])
    assert video.open(path).length() == 3


def test_nothing_is_printed_of_a_damaged_file(tmp_path: Path) -> None:
    path = write_film(tmp_path / "DOE.mp4", moving_disc(12), FORMS["h264.mp4"])
    content = bytearray(path.read_bytes())
    at = (content.index(b"mdat") + content.index(b"moov")) * 3 // 4
    content[at : at + 200] = bytes(200)
    path.write_bytes(content)
    with printed() as found, pytest.raises(ClipError) as caught:
        list(video.open(path).pictures())
    assert found == [b""]
    assert "DOE" not in str(caught.value)


def test_what_is_printed_is_seen() -> None:
    """So that the test above can fail."""
    with printed() as found:
        os.write(2, b"DOE.mp4")
    assert found == [b"DOE.mp4"]


def test_one_thread_decodes(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", moving_disc(3), FORMS["h264.mp4"])
    with open_stream(path) as opened:
        next(opened.decode())
        assert opened.stream.codec_context.thread_count == 1
        assert av.logging.get_level() is None


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    """Motion JPEG may change its size from frame to frame; the container states only one."""
    path = write_film(tmp_path / "a.avi", moving_disc(6), FORMS["mjpeg.avi"])
    small = write_film(tmp_path / "b.avi", moving_disc(6)[:, :64, :96], FORMS["mjpeg.avi"]).read_bytes()
    content = bytearray(path.read_bytes())
    at, other = content.rindex(b"00dc", 0, content.index(b"idx1")), small.rindex(b"00dc", 0, small.index(b"idx1"))
    length = int.from_bytes(small[other + 4 : other + 8], "little")
    room = int.from_bytes(content[at + 4 : at + 8], "little")
    assert length <= room
    content[at + 8 : at + 8 + room] = small[other + 8 : other + 8 + length] + bytes(room - length)
    path.write_bytes(content)
    with pytest.raises(ClipError, match="another size"):
        open_clip(path, 0.0, None, [WHOLE])
