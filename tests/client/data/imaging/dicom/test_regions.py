"""Region boxes as real headers state them: in cm, negative, of another image size, beyond the image, of no kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_clips import region
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from client.data.imaging.dicom import reader
from client.data.imaging.dicom.regions import list_regions
from client.data.imaging.recording import Region


def found(*items: Dataset, rows: int = 480, columns: int = 640) -> tuple[Region, ...]:
    header = Dataset()
    header.SequenceOfUltrasoundRegions = list(items)
    return list_regions(header, rows, columns)


@pytest.mark.parametrize("delta", [0.05, -0.05])
def test_spacing_is_in_cm_whatever_its_sign(delta: float) -> None:
    assert found(region((10, 20, 300, 400), delta))[0].mm_per_pixel == pytest.approx(0.5)


@pytest.mark.parametrize(("delta", "units"), [(0.05, 4), (0.0, 3), (0.5, 3), (0.0001, 3)])
def test_spacing_that_is_none_is_left_out(delta: float, units: int) -> None:
    """Seconds; nothing; a pane of 1.9 m, from mm written as cm; a pane of 0.4 mm."""
    assert found(region((10, 20, 300, 400), delta, units=units)) == (Region((10, 20, 300, 400), None),)


def test_a_header_of_a_larger_screen_is_scaled_with_its_spacing() -> None:
    """SonoSite: 84-595 in an image of 320 columns. The whole sequence tells the size, not each box by itself."""
    boxes = found(region((84, 32, 340, 416), 0.02), region((340, 32, 596, 416), 0.02), rows=240, columns=320)
    assert [one.box for one in boxes] == [(42, 16, 170, 208), (170, 16, 298, 208)]
    assert [one.mm_per_pixel for one in boxes] == [pytest.approx(0.4)] * 2


def test_the_real_sonosite_file_is_scaled() -> None:
    """Its picture is black to the left and right of the scaled box."""
    recording = reader.open(Path(str(get_testdata_file("examples_ybr_color.dcm", download=False))))
    (one,) = recording.regions
    assert one.box == (42, 16, 298, 207)
    picture = recording.sample_pictures(1)[0].max(axis=2)
    assert picture[16:207, 42:298].mean() > 10 * picture[30:200, :40].mean()


def test_a_box_of_a_cropped_image_is_cut() -> None:
    """Philips: the header of 600 rows over an image cut to 350, whose shape no screen has."""
    (one,) = reader.open(Path(str(get_testdata_file("examples_palette.dcm", download=False)))).regions
    assert one.box == (120, 60, 800, 350)
    assert one.mm_per_pixel == pytest.approx(0.262, abs=1e-3)


def test_a_box_that_lies_outside_is_ignored() -> None:
    assert found(region((500, 400, 900, 900)), rows=500, columns=640) == ()
    assert found(region((700, 20, 900, 400)), rows=500, columns=640) == ()


def test_only_two_dimensional_pictures_count() -> None:
    """ACUSON: the first region is the whole screen, of no data type."""
    screen, trace = region((0, 0, 640, 480), kind=0), region((0, 400, 640, 480), kind=10)
    pane, spectral = region((10, 20, 300, 400)), region((10, 20, 300, 400))
    spectral.RegionSpatialFormat = 3
    assert [one.box for one in found(screen, trace, spectral, pane)] == [(10, 20, 300, 400)]


def test_damaged_items_are_passed_over() -> None:
    broken, turned = region((10, 20, 300, 400)), region((300, 20, 10, 400))
    del broken.RegionLocationMaxX1
    assert found(broken, turned, Dataset(), region((320, 20, 600, 400)))[0].box == (320, 20, 600, 400)
