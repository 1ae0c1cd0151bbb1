"""DICOM: colours, times, regions and panes as the traps of real files demand, and no identifier in memory."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from made_clips import NAME, jpeg, region, write_dicom
from pydicom.data import get_testdata_file
from pydicom.pixels.utils import iter_pixels

from client.data.imaging.clip import ClipError, open_clip, probe_clip
from client.data.imaging.dicom import reader
from client.data.imaging.dicom.header import ALLOWED, read_header
from client.data.imaging.screen import Screen

EXAMPLE = Path(str(get_testdata_file("examples_ybr_color.dcm")))
TIMES = {"FrameTime": 100.0}
GOLD = np.array([240, 215, 174], dtype=np.uint8)
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
WHOLE = Screen("*", 64, 128, (0, 0, 128, 64), None, "grey", 60.0)
DUAL = Screen("*", 64, 128, (64, 8, 128, 64), (0, 8, 64, 64), "gold", 55.0)


def smooth_rgb(frames: int = 4, rows: int = 64, columns: int = 128) -> npt.NDArray[np.uint8]:
    """Pictures (t h w 3) of slow ramps in all channels, black at the left rim."""
    y, x = np.mgrid[:rows, :columns]
    channels = np.stack([x * 1.5, y * 2.0 + 60, 200 - x], axis=-1)
    channels[:, :16] = 0
    return np.stack([np.clip(channels + 5 * t, 0, 255) * (channels > 0) for t in range(frames)]).astype(np.uint8)


def pictures(path: Path) -> npt.NDArray[np.uint8]:
    return np.stack([picture.copy() for picture in reader.open(path).pictures()])


def dual(frames: int = 4, tinted: str = "right") -> npt.NDArray[np.uint8]:
    """Screens (t 64 128 3): grey levels on one side, the same in gold colours on the other."""
    levels = np.tile(np.arange(0, 128, 2, dtype=np.float64) + 60, (64, 1))
    grey = np.repeat(levels[..., None], 3, axis=2)
    gold = levels[..., None] * GOLD / 240
    sides = [grey, gold] if tinted == "right" else [gold, grey]
    return np.repeat(np.hstack(sides)[None], frames, axis=0).astype(np.uint8)


def test_native_ybr_is_turned_to_rgb_once(tmp_path: Path) -> None:
    rgb = smooth_rgb()
    ybr = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] for picture in rgb])
    seen = pictures(write_dicom(tmp_path / "a.dcm", ybr, "YBR_FULL", TIMES))
    assert np.abs(seen.astype(int) - rgb).max() <= 3
    assert seen[:, :, :16].max() <= 1  # a second conversion turns black green


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
def test_jpeg_ybr_is_turned_to_rgb_once(tmp_path: Path, photometric: str) -> None:
    rgb = smooth_rgb()
    tags = {**TIMES, "NumberOfFrames": 4, "Rows": 64, "Columns": 128}
    path = write_dicom(tmp_path / "a.dcm", [jpeg(p) for p in rgb], photometric, tags, JPEG_BASELINE)
    seen = pictures(path)
    assert np.abs(seen.astype(int) - rgb)[:, :, 24:].mean() < 3
    assert seen[:, :, :8].max() <= 8


def test_the_quick_jpeg_decoder_agrees_with_pydicom() -> None:
    theirs = np.stack(list(iter_pixels(EXAMPLE)))
    ours = pictures(EXAMPLE)
    assert ours.shape == theirs.shape == (30, 240, 320, 3)
    assert np.abs(ours.astype(int) - theirs).mean() < 0.6
    assert np.array_equal(np.stack(reader.open(EXAMPLE).sample_pictures(3)), ours[[5, 15, 25]])


def test_palette_indices_become_colours(tmp_path: Path) -> None:
    indices = np.tile(np.arange(128, dtype=np.uint8), (2, 64, 1))
    table = np.arange(256, dtype=np.uint16)
    tags: dict[str, object] = dict(TIMES)
    for colour, values in (("Red", table), ("Green", table[::-1]), ("Blue", table // 2)):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = (values << 8).astype("<u2").tobytes()
    seen = pictures(write_dicom(tmp_path / "a.dcm", indices, "PALETTE COLOR", tags))
    assert seen.shape == (2, 64, 128, 3)
    assert seen[1, 5, 100].tolist() == [100, 155, 50]


@pytest.mark.parametrize(("photometric", "expected"), [("MONOCHROME2", 100), ("MONOCHROME1", 155)])
def test_grey_levels_of_8_and_16_bits(tmp_path: Path, photometric: str, expected: int) -> None:
    levels = np.tile(np.arange(128, dtype=np.uint8), (2, 64, 1))
    for pixels in (levels, levels.astype(np.uint16) << 8):
        seen = pictures(write_dicom(tmp_path / "a.dcm", pixels, photometric, TIMES))
        assert seen[0, 3, 100].tolist() == [expected] * 3


def test_a_frame_time_vector_starts_at_the_first_frame(tmp_path: Path) -> None:
    tags = {"FrameTimeVector": [500.0, 33.0, 50.0, 33.0], "FrameTime": 900.0, "CineRate": 1}
    path = write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", tags)
    assert open_clip(path, 10.0, None, [WHOLE]).seconds == pytest.approx([10.0, 10.033, 10.083, 10.116])


@pytest.mark.parametrize(
    ("tags", "rate", "interval"),
    [
        ({"FrameTimeVector": [0.0, 40.0], "FrameTime": 50.0, "CineRate": 30}, 99.0, 0.05),
        ({"FrameTimeVector": [0.0, 40.0, 40.0, -40.0], "FrameTime": 50.0}, None, 0.05),
        ({"FrameTime": 0.0, "CineRate": 20, "RecommendedDisplayFrameRate": 7}, None, 0.05),
        ({"RecommendedDisplayFrameRate": 20}, 5.0, 0.05),
        ({}, 20.0, 0.05),
    ],
)
def test_the_order_of_frame_times(tmp_path: Path, tags: dict[str, object], rate: float | None, interval: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", tags)
    assert np.diff(open_clip(path, 0.0, rate, [WHOLE]).seconds) == pytest.approx([interval] * 3)


def test_without_any_time_the_remedy_names_the_column(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", {})
    for read in (open_clip, probe_clip):
        with pytest.raises(ClipError, match="frame_rate_hz") as caught:
            read(path, 0.0, None, [WHOLE])
        assert caught.value.reason == "no-frame-times"


@pytest.mark.parametrize("delta", [0.05, -0.05])
def test_spacing_is_in_cm_whatever_its_sign(tmp_path: Path, delta: float) -> None:
    tags = {**TIMES, "SequenceOfUltrasoundRegions": [region((8, 4, 120, 60), delta)]}
    clip = open_clip(write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", tags), 0.0, None, ())
    assert clip.mm_per_pixel == pytest.approx(0.5)
    assert (clip.contrast_box, clip.contrast.shape, clip.layout) == ((8, 4, 120, 60), (4, 56, 112), "regions")


def test_a_region_beyond_the_image_gives_way_to_the_template(tmp_path: Path) -> None:
    tags = {**TIMES, "SequenceOfUltrasoundRegions": [region((84, 31, 595, 414))]}
    path = write_dicom(tmp_path / "a.dcm", dual(), "RGB", tags)
    with pytest.raises(ClipError, match=r"site\.yaml"):
        open_clip(path, 0.0, None, ())
    clip = open_clip(path, 0.0, None, [DUAL])
    assert (clip.contrast_box, clip.bmode_box, clip.layout) == (DUAL.contrast, DUAL.bmode, "template")
    assert clip.dynamic_range_db == 55.0


def test_a_region_one_pixel_too_wide_is_cut(tmp_path: Path) -> None:
    tags = {**TIMES, "SequenceOfUltrasoundRegions": [region((0, 0, 129, 65))]}
    clip = open_clip(write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", tags), 0.0, None, ())
    assert clip.contrast_box == (0, 0, 128, 64)


@pytest.mark.parametrize(("tinted", "contrast"), [("right", (64, 0, 128, 64)), ("left", (0, 0, 64, 64))])
def test_of_two_equal_regions_the_tinted_one_is_contrast(
    tmp_path: Path, tinted: str, contrast: tuple[int, ...]
) -> None:
    regions = [region((0, 0, 64, 64)), region((64, 0, 128, 64)), region((0, 60, 128, 64), kind=10)]
    regions.insert(0, region((0, 0, 64, 64), kind=2))  # colour flow over the same pane
    path = write_dicom(
        tmp_path / "a.dcm", dual(tinted=tinted), "RGB", {**TIMES, "SequenceOfUltrasoundRegions": regions}
    )
    clip = open_clip(path, 0.0, None, ())
    assert clip.contrast_box == contrast
    assert clip.bmode is not None
    assert np.abs(np.stack(clip.contrast).astype(int) - np.stack(clip.bmode)).max() <= 1  # the tint is undone


def test_two_grey_regions_need_a_template(tmp_path: Path) -> None:
    grey = np.repeat(dual()[:, :, :64], 2, axis=2)
    regions = [region((0, 8, 64, 64)), region((64, 8, 128, 64))]
    path = write_dicom(tmp_path / "a.dcm", grey, "RGB", {**TIMES, "SequenceOfUltrasoundRegions": regions})
    with pytest.raises(ClipError, match=r"site\.yaml"):
        open_clip(path, 0.0, None, ())
    clip = open_clip(path, 0.0, None, [DUAL])
    assert (clip.contrast_box, clip.layout) == (DUAL.contrast, "regions")


def test_a_template_of_another_maker_does_not_fit(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", dual(), "RGB", {**TIMES, "Manufacturer": "G.E. Medical Systems"})
    philips = Screen("Philips", 64, 128, (0, 8, 64, 64), (64, 8, 128, 64), "gold", 60.0)
    ge = Screen("GE", 64, 128, (64, 8, 128, 64), (0, 8, 64, 64), "gold", 60.0)
    assert open_clip(path, 0.0, None, [philips, ge]).contrast_box == ge.contrast
    with pytest.raises(ClipError, match="template"):
        open_clip(path, 0.0, None, [philips])


def test_no_identifier_is_in_memory(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", smooth_rgb(), "RGB", {**TIMES, "InstitutionName": "St. Elsewhere"})
    with path.open("rb") as file:
        header = read_header(file)
    assert {element.keyword for element in header} <= set(ALLOWED)
    clip = open_clip(path, 0.0, None, [WHOLE])
    held = repr(header) + repr(reader.open(path)) + repr(clip) + repr([vars(tape) for tape in clip.contrast.tapes])
    assert "Rows" in held
    assert not [word for word in (NAME, "DOE", "MRN-4711", "19501231", "Elsewhere") if word in held]


def test_an_encapsulated_video_stream_is_read(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (128, 64))
    for picture in smooth_rgb(12):
        writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
    writer.release()
    tags = {"FrameTime": 40.0, "NumberOfFrames": 12, "Rows": 64, "Columns": 128}
    content = (tmp_path / "v.mp4").read_bytes()
    path = write_dicom(tmp_path / "a.dcm", [content], "YBR_PARTIAL_420", tags, "1.2.840.10008.1.2.4.102")
    clip = open_clip(path, 0.0, None, [WHOLE])
    assert clip.contrast.shape == (12, 64, 128)
    assert clip.seconds[-1] == pytest.approx(0.44)
    assert probe_clip(path, 0.0, None, [WHOLE]).frames == 12


def test_damaged_files_are_clip_errors_without_names(tmp_path: Path) -> None:
    good = write_dicom(tmp_path / "DOE.dcm", smooth_rgb(), "RGB", TIMES).read_bytes()
    tags = {**TIMES, "NumberOfFrames": 4, "Rows": 64, "Columns": 128}
    frames = [jpeg(picture) for picture in smooth_rgb()]
    frames[2] = frames[2][: len(frames[2]) // 2]
    write_dicom(tmp_path / "jpeg.dcm", frames, "YBR_FULL_422", tags, JPEG_BASELINE)
    write_dicom(tmp_path / "few.dcm", frames[:2], "YBR_FULL_422", tags, JPEG_BASELINE)
    write_dicom(tmp_path / "none.dcm", frames[:1], "RGB", tags, "1.2.840.10008.1.2.4.80")
    for name, content in (("DOE_text.dcm", b"no DICOM"), ("DOE_cut.dcm", good[: len(good) // 2]), ("DOE_0.dcm", b"")):
        (tmp_path / name).write_bytes(content)
    for name in ("DOE_text.dcm", "DOE_cut.dcm", "DOE_0.dcm", "jpeg.dcm", "few.dcm", "none.dcm", "missing.dcm"):
        with pytest.raises(ClipError) as caught:
            open_clip(tmp_path / name, 0.0, None, [WHOLE])
        assert caught.value.reason == ("missing-clip" if name == "missing.dcm" else "unreadable-clip")
        assert "DOE" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
