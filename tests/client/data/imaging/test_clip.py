"""Phantom clips on the screens of all nine makers: panes, levels and times against what was drawn."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from toy_cases import ENTITIES, case

from client.data.imaging import clip, clip_doubts, fan
from client.data.imaging.clip import Clip, ClipError, open_clip, open_recording
from client.data.imaging.recording import spread_indices
from client.data.imaging.screen import Screen
from sim.hospital.screens import MAKERS, Caption, Layout, compose_screens, compute_layout
from sim.hospital.writers import Geometry, Identity, Syntax, write_dicom, write_video
from sim.phantom import shapes
from sim.phantom.draw import Film, PhantomSettings, draw_lesion
from sim.phantom.render import render

U8 = npt.NDArray[np.uint8]
SETTINGS = PhantomSettings(
    pane_px=(160, 160), frame_rate_hz=1.0, continuous_s=26.0, snapshots_s=(), snapshot_length_s=3.0
)
NAME = Caption("ZHANG WEI", "000123", "2021-03-04", "Hospital 7")
BORN, TAKEN = datetime.date(1960, 2, 3), datetime.date(2021, 3, 4)
WHO = Identity("ZHANG^WEI", "000123", BORN, TAKEN, "M", "Hospital 7", "L070001", 1)
DUAL_OR_NOT = pytest.mark.parametrize("only", [False, True], ids=["dual", "contrast-only"])


@cache
def film(name: str) -> tuple[Film, npt.NDArray[np.bool_]]:
    """A maker's panes and their fan."""
    number = list(MAKERS).index(name)
    entity = ENTITIES[number % len(ENTITIES)]
    drawn = draw_lesion(case(number, *entity, maker=name), SETTINGS, MAKERS[name].machine, number % 2 == 1, 11)
    return render(drawn, SETTINGS)[0][0], shapes.make_fan_mask(drawn.plane)


def layout(name: str, only: bool) -> Layout:
    pane = film(name)[0].contrast.shape
    return compute_layout(MAKERS[name], (pane[1], pane[2]), only)


def template(name: str, only: bool) -> Screen:
    lies = layout(name, only)
    return Screen(name, lies.rows, lies.columns, lies.contrast, lies.bmode, MAKERS[name].tint, 60.0)


def written(folder: Path, name: str, only: bool, form: str, regions: bool = False) -> Path:
    """form: a syntax of sim.hospital.writers, or .avi or .mp4."""
    shown = film(name)[0]
    screens = compose_screens(shown.contrast, None if only else shown.bmode, shown.seconds.tolist(), MAKERS[name], NAME)
    if form.startswith("."):
        write_video(folder / f"a{form}", screens, 1.0)
        return folder / f"a{form}"
    syntax: Syntax = "jpeg" if form == "jpeg" else ("rle" if form == "rle" else "raw")
    geometry = Geometry(layout(name, only), 0.8, regions)
    write_dicom(folder / "a.dcm", screens, shown.seconds, WHO, MAKERS[name], (geometry, syntax, 92))
    return folder / "a.dcm"


def opened(path: Path, name: str, only: bool, by: str) -> Clip:
    start = float(film(name)[0].seconds[0])
    return open_clip(path, start, None, [template(name, only)] if by == "template" else ())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("by", ["regions", "template"])
@DUAL_OR_NOT
def test_lossless_files_come_back_to_the_pixel_and_the_level(tmp_path: Path, name: str, by: str, only: bool) -> None:
    """Levels within 2 of what was drawn, times to the microsecond the header holds, and the fan to its last pixel."""
    shown, view = film(name)
    form = "rle" if name < "H" else "raw"
    clip = opened(written(tmp_path, name, only, form, by == "regions"), name, only, by)
    lies = layout(name, only)
    assert (clip.contrast_box, clip.bmode_box, clip.layout) == (lies.contrast, lies.bmode, by)
    assert clip.seconds == pytest.approx(shown.seconds, abs=1e-6)
    assert clip.times_from == ("FrameTime" if list(MAKERS).index(name) % 2 == 0 else "FrameTimeVector")
    assert np.abs(np.stack(clip.contrast).astype(int) - shown.contrast)[:, view].max() <= 2
    if clip.bmode is not None:
        assert np.array_equal(np.stack(clip.bmode)[:, view], shown.bmode[:, view])


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("form", ["jpeg", ".avi", ".mp4"])
def test_lossy_files_come_back_near(tmp_path: Path, name: str, form: str) -> None:
    """Half the colour resolution, and the codec's loss: on average up to 3.2 levels in B-mode, 4.9 in a tinted pane."""
    shown, view = film(name)
    clip = opened(written(tmp_path, name, False, form), name, False, "template")
    lies = layout(name, False)
    assert (clip.contrast_box, clip.bmode_box) == (lies.contrast, lies.bmode)
    assert clip.bmode is not None
    assert np.abs(np.stack(clip.bmode).astype(int) - shown.bmode)[:, view].mean() < 4
    assert np.abs(np.stack(clip.contrast).astype(int) - shown.contrast)[:, view].mean() < 6
    assert abs(float(np.stack(clip.contrast)[:, view].mean()) - float(shown.contrast[:, view].mean())) < 3


@pytest.mark.parametrize("name", MAKERS)
@DUAL_OR_NOT
def test_detection_finds_every_makers_panes(tmp_path: Path, name: str, only: bool) -> None:
    """The shift from pane to pane is exact; the box is the fan's, up to rows at its top and text at its foot."""
    clip = opened(written(tmp_path, name, only, "rle"), name, only, "detection")
    lies = layout(name, only)
    assert clip.layout == "detected"
    assert 0.6 < clip.layout_confidence <= 1
    assert np.abs(np.subtract(clip.contrast_box, lies.contrast)).max() <= 14
    assert (clip.bmode_box is None) == only
    if clip.bmode_box is not None and lies.bmode is not None:
        assert (
            np.subtract(clip.bmode_box, clip.contrast_box).tolist() == np.subtract(lies.bmode, lies.contrast).tolist()
        )


def test_panes_found_in_one_clip_are_the_template_of_the_next(tmp_path: Path) -> None:
    """In a short clip less moves: looked for again, its panes would come out smaller, or not at all."""
    first = opened(written(tmp_path, "GE", False, "rle"), "GE", False, "detection")
    assert len(first.detected) == 1
    assert opened(written(tmp_path, "GE", False, "rle"), "GE", False, "template").detected == ()
    later = open_clip(written(tmp_path, "GE", False, "rle"), 0.0, 10.0, first.detected)
    assert (later.contrast_box, later.bmode_box) == (first.contrast_box, first.bmode_box)
    assert np.array_equal(np.stack(later.contrast), np.stack(first.contrast))
    assert later.dynamic_range_db is None


@pytest.mark.parametrize("form", ["jpeg", ".avi", ".mp4"])
@pytest.mark.parametrize("name", ["GE", "Philips", "Canon"])
def test_detection_of_a_lossy_dual_view_never_takes_the_panes_for_each_other(
    tmp_path: Path, name: str, form: str
) -> None:
    clip = opened(written(tmp_path, name, False, form), name, False, "detection")
    lies = layout(name, False)
    assert clip.bmode_box is not None
    assert np.abs(np.subtract(clip.contrast_box, lies.contrast)).max() <= 16
    assert np.abs(np.subtract(clip.bmode_box, lies.bmode or ())).max() <= 16


def test_text_typed_beside_the_fan_is_masked(tmp_path: Path) -> None:
    """A note within the pane, beside its fan, and a depth ruler: at level 0 in every frame; the fan is as it was."""
    shown, view = film("Philips")
    screens = []
    x0, y0, x1 = layout("Philips", False).contrast[:3]
    for screen in compose_screens(shown.contrast, shown.bmode, shown.seconds.tolist(), MAKERS["Philips"], NAME):
        cv2.putText(screen, "DOE", (x0 + 1, y0 + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (205, 205, 205), 1)
        screen[y0 + 5 : y0 + 32 : 9, x1 - 4 : x1] = 160
        screens.append(screen)
    geometry = Geometry(layout("Philips", False), 0.8, True)
    write_dicom(tmp_path / "a.dcm", screens, shown.seconds, WHO, MAKERS["Philips"], (geometry, "rle", 92))
    clip = open_clip(tmp_path / "a.dcm", 0.0, None, ())
    written_at = (slice(None), slice(0, 18), slice(0, 28))
    outside = ~view[written_at[1:]]
    contrast = np.stack(clip.contrast)
    assert contrast[written_at][:, outside].max() == 0
    assert contrast[:, 5:32, -4:][:, ~view[5:32, -4:]].max() == 0
    assert np.abs(np.stack(clip.contrast).astype(int) - shown.contrast)[:, view].max() <= 2


def test_the_mask_is_what_takes_the_text_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the pane's ruler and marks stay, so the test above can fail."""
    monkeypatch.setattr(fan, "find_fan", lambda panes: None)
    shown = film("Philips")[0]
    screens = []
    x0, y0 = layout("Philips", False).contrast[:2]
    for screen in compose_screens(shown.contrast, shown.bmode, shown.seconds.tolist(), MAKERS["Philips"], NAME):
        cv2.putText(screen, "DOE", (x0 + 1, y0 + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (205, 205, 205), 1)
        screens.append(screen)
    geometry = Geometry(layout("Philips", False), 0.8, True)
    write_dicom(tmp_path / "a.dcm", screens, shown.seconds, WHO, MAKERS["Philips"], (geometry, "rle", 92))
    clip = open_clip(tmp_path / "a.dcm", 0.0, None, ())
    assert np.stack(clip.contrast)[:, :18, :28].max() > 150


def test_a_clip_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file of empty frames can ask for any memory."""
    path = written(tmp_path, "Philips", True, "rle")
    monkeypatch.setattr("client.data.imaging.frame_store._MOST_BYTES", 1 << 18)
    with pytest.raises(ClipError, match="split the clip") as caught:
        opened(path, "Philips", True, "template")
    assert caught.value.reason == "clip-too-long"


@pytest.mark.parametrize(("form", "wrong"), [("raw", False), (".mp4", False), (".mp4", True)])
def test_pictures_for_the_doubts_are_those_of_the_one_pass_or_of_a_second_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, wrong: bool
) -> None:
    """They are spread over the clip either way; a file whose stated number of frames is wrong is looked at again."""
    path = written(tmp_path, "GE", False, form)
    recording, box = open_recording(path), template("GE", False).contrast
    every = list(recording.pictures())
    wanted = recording.sample_pictures(24) if wrong else [every[index] for index in spread_indices(len(every), 24)]
    assert recording.stated == len(every)
    looks: list[int] = []
    seen: list[U8] = []
    kind, look = type(recording), type(recording).sample_pictures
    monkeypatch.setattr(kind, "sample_pictures", lambda self, count: looks.append(count) or look(self, count))
    if wrong:
        monkeypatch.setattr(recording, "stated", len(every) + 5)
        monkeypatch.setattr(clip, "open_recording", lambda path: recording)
    monkeypatch.setattr(clip_doubts, "list_clip_doubts", lambda layout, times, panes: seen.extend(panes) or ())
    opened(path, "GE", False, "template")
    assert looks.count(24) == wrong
    assert len(seen) == len(wanted) > 15
    cut = [picture[box[1] : box[3], box[0] : box[2]] for picture in wanted]
    assert all(np.array_equal(one, other) for one, other in zip(seen, cut, strict=True))
