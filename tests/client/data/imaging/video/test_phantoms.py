"""A good video is never called damaged: phantoms of every maker, at several rates, in AVI, MP4 and streams of DICOM."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_clips import write_dicom
from made_videos import Form, write_film
from toy_cases import ENTITIES, case

from client.data.imaging.clip import open_clip, probe_clip
from client.data.imaging.screen import Screen
from sim.hospital.screens import MAKERS, Caption, compose_screens, compute_layout
from sim.hospital.writers import write_video
from sim.phantom.draw import Film, PhantomSettings, draw_lesion
from sim.phantom.render import render

U8 = npt.NDArray[np.uint8]
SETTINGS = PhantomSettings(
    pane_px=(120, 112), frame_rate_hz=2.0, continuous_s=22.0, snapshots_s=(), snapshot_length_s=3.0
)
NAME = Caption("ZHANG WEI", "000123", datetime.date(2021, 3, 4).isoformat(), "Hospital 7")
RATES_HZ = (0.8, 1.76, 12.5, 24000 / 1001, 60.0)
STREAMS = {
    "102": Form("libx264"),
    "107": Form("libx265", options={"x265-params": "log-level=none"}),
    "100": Form("mpeg2video", rate=25),
}
"""Last part of the transfer syntax -> codec."""


@cache
def film(name: str) -> Film:
    number = list(MAKERS).index(name)
    drawn = draw_lesion(
        case(number, *ENTITIES[number % len(ENTITIES)], maker=name), SETTINGS, MAKERS[name].machine, number % 2 == 1, 11
    )
    return render(drawn, SETTINGS)[0][0]


@cache
def screens(name: str) -> list[U8]:
    shown = film(name)
    return list(compose_screens(shown.contrast, shown.bmode, shown.seconds.tolist(), MAKERS[name], NAME))


def template(name: str) -> Screen:
    pane = film(name).contrast.shape
    lies = compute_layout(MAKERS[name], (pane[1], pane[2]), False)
    return Screen(name, lies.rows, lies.columns, lies.contrast, lies.bmode, MAKERS[name].tint, 60.0)


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
@pytest.mark.parametrize("name", MAKERS)
def test_videos_of_every_maker_are_read_at_every_rate(tmp_path: Path, name: str, suffix: str) -> None:
    shown = film(name)
    for rate in RATES_HZ:
        write_video(tmp_path / f"a{suffix}", screens(name), rate)
        clip = open_clip(tmp_path / f"a{suffix}", 5.0, None, [template(name)])
        assert len(clip.contrast) == len(shown.seconds)
        assert clip.times_from == "container"
        assert np.diff(clip.seconds) == pytest.approx(1 / rate, rel=0.01)
        assert abs(float(np.stack(clip.contrast).mean()) - float(shown.contrast.mean())) < 4
        assert probe_clip(tmp_path / f"a{suffix}", 5.0, None, [template(name)]).frames == len(shown.seconds)


@pytest.mark.parametrize("syntax", STREAMS)
@pytest.mark.parametrize("name", MAKERS)
def test_streams_of_every_maker_are_read(tmp_path: Path, name: str, syntax: str) -> None:
    shown, pictures = film(name), np.stack(screens(name))
    rows, columns = (size // 2 * 2 for size in pictures.shape[1:3])
    suffix = {"102": "h264", "107": "hevc", "100": "m2v"}[syntax]
    stream = write_film(tmp_path / f"a.{suffix}", pictures[:, :rows, :columns], STREAMS[syntax]).read_bytes()
    tags = {"FrameTime": 500.0, "NumberOfFrames": len(pictures), "Rows": rows, "Columns": columns}
    path = write_dicom(tmp_path / "a.dcm", [stream], "YBR_PARTIAL_420", tags, f"1.2.840.10008.1.2.4.{syntax}")
    made = template(name)
    fitting = Screen(name, rows, columns, made.contrast, made.bmode, made.tint, 60.0)
    clip = open_clip(path, 5.0, None, [fitting])
    assert len(clip.contrast) == len(shown.seconds)
    assert np.diff(clip.seconds) == pytest.approx(0.5)
    assert clip.bmode is not None
    assert abs(float(np.stack(clip.bmode).mean()) - float(shown.bmode.mean())) < 4
