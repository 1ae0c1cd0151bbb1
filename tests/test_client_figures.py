"""Quality and contact sheets: what must be seen is in the picture, and odd lesions are drawn as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from ceus_models.sample import Sample
from client.figures import TILE_PX, contact_sheet, flow_colours, quality_sheet, tile_of
from client.pipeline import Trace

ORANGE, BLUE, RED = (255, 176, 0), (53, 194, 255), (220, 38, 127)


def drawn(count: int = 120, held_share: float = 0.1, maps: int = 4) -> tuple[Sample, Trace]:
    """A lesion of two clips with a gap, enhancing at 20 s."""
    draw = np.random.default_rng(5)
    half = max(1, count // 2)
    seconds = np.concatenate([np.arange(half) * 0.5, 90 + np.arange(count - half) * 0.5])
    curve = np.exp(-(((seconds - 20) / 15) ** 2))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    polygon = np.column_stack([100 + 30 * np.cos(angles), 80 + 25 * np.sin(angles)])
    chosen = np.unique(np.linspace(0, count - 1, 12).astype(np.int64))
    flow = draw.normal(0, 1, (maps, 2, 32, 32)).astype(np.float32)
    sample = Sample(
        key="00c0ffee00c0ffee",
        patient="feedfeedfeedfeed",
        cohort="validation",
        frames=draw.integers(0, 255, (len(chosen), 32, 32), dtype=np.uint8),
        flow=(flow * 20).astype(np.int8),
        flow_scale=0.05,
        curve=np.ones(len(chosen), np.float32),
        clinical=np.zeros(17, np.float32),
        biomarkers=np.zeros(4, np.float32),
        label=None,
    )
    trace = Trace(
        reference=draw.integers(0, 120, (160, 200), dtype=np.uint8),
        polygon=polygon,
        box=(50, 35, 151, 126),
        seconds=seconds,
        tic=curve,
        smoothed=curve,
        peak_index=int(curve.argmax()),
        chosen=chosen,
        correlation=np.full(count, 0.9),
        held=np.arange(count) < held_share * count,
        parameters={"PE": 1.0, "TTP": 20.0},
        flow=flow,
    )
    return sample, trace


def share_of(path: Path, colour: tuple[int, int, int]) -> float:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(int)
    return float((np.abs(picture - colour).max(axis=2) <= 12).mean())


def test_the_quality_sheet_shows_outline_box_and_held_frames(tmp_path: Path) -> None:
    sample, trace = drawn(held_share=0.3)
    path = tmp_path / "new" / "sheet.png"
    quality_sheet(sample, trace, path, gate=0.5)
    for colour in (ORANGE, BLUE, RED):
        assert share_of(path, colour) > 1e-4
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(("count", "maps"), [(1, 1), (2, 1), (120, 0)])
def test_lesions_with_almost_nothing_are_drawn(tmp_path: Path, count: int, maps: int) -> None:
    sample, trace = drawn(count, maps=maps)
    quality_sheet(sample, trace, tmp_path / "sheet.png")
    contact_sheet([tile_of(sample, trace)], tmp_path / "contact.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).std() > 5


def test_threads_draw_what_one_draws(tmp_path: Path) -> None:
    sample, trace = drawn()
    quality_sheet(sample, trace, tmp_path / "alone.png")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: quality_sheet(sample, trace, tmp_path / f"{n}.png"), range(2)))
    assert {(tmp_path / f"{n}.png").read_bytes() for n in range(2)} == {(tmp_path / "alone.png").read_bytes()}


def test_a_tile_is_the_picture_around_its_box() -> None:
    sample, trace = drawn()
    tile = tile_of(sample, trace)
    assert tile.picture.shape == (TILE_PX, TILE_PX)
    x0, y0, x1, y1 = (round(TILE_PX * share) for share in tile.box)
    inner = tile.picture[y0:y1, x0:x1]
    expected = trace.reference[35:126, 50:151] / 255.0
    assert inner.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert tile.peak == (pytest.approx((20 - 0) / (trace.seconds[-1] - 0)), 1.0)
    assert np.isnan(tile.curve).any(axis=1).sum() == 1  # the gap between the clips


def test_a_box_that_leaves_the_frame_is_black_there() -> None:
    sample, trace = drawn()
    outside = Trace(**{**vars(trace), "box": (-60, -60, 20, 20)})
    picture = tile_of(sample, outside).picture
    assert picture[: TILE_PX // 2, : TILE_PX // 2].max() == 0
    assert picture[-TILE_PX // 4 :, -TILE_PX // 4 :].mean() > 0.1


def test_the_contact_sheet_marks_doubtful_tracks_only(tmp_path: Path) -> None:
    good, doubtful = tile_of(*drawn()), tile_of(*drawn(held_share=0.6))
    contact_sheet([good] * 5, tmp_path / "good.png")
    contact_sheet([good] * 4 + [doubtful], tmp_path / "one.png")
    assert share_of(tmp_path / "one.png", RED) > 2 * share_of(tmp_path / "good.png", RED)


def test_the_contact_sheet_of_no_lesion_is_a_picture(tmp_path: Path) -> None:
    contact_sheet([], tmp_path / "none.png")
    assert cv2.imread(str(tmp_path / "none.png")) is not None


def test_flow_colours_turn_with_the_direction_and_darken_with_rest() -> None:
    right, left = (
        flow_colours(np.array([[[2.0]], [[0.0]]], np.float32), 2.0),
        flow_colours(np.array([[[-2.0]], [[0.0]]], np.float32), 2.0),
    )
    assert right[0, 0] == pytest.approx([1, 0, 0])
    assert left[0, 0] == pytest.approx([0, 1, 1])
    assert flow_colours(np.zeros((2, 1, 1), np.float32), 2.0).max() == 0
    assert flow_colours(np.array([[[1.0]], [[0.0]]], np.float32), 2.0)[0, 0] == pytest.approx([0.5, 0, 0])
