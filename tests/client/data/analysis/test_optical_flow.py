"""Flow between key frames: known motion, breathing removed, scale recorded, crops accepted."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ceus_models.study.processing import Processing
from client.data.analysis.optical_flow import compute_flow_maps

SIDE = 64
SETTINGS = Processing(flow_maps=4, flow_size=SIDE, size=SIDE)


def texture(seed: int = 0, side: int = SIDE + 40) -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(128 + 40 * blurred / blurred.std(), dtype=np.float32)


def expanding(rate: float, frames: int = 5, drift: float = 0.0) -> npt.NDArray[np.uint8]:
    """Frames (t SIDE SIDE) that grow about their center by `rate` a frame and drift to the right."""
    picture, size = texture(), SIDE + 40
    center, shown = (size - 1) / 2, []
    for index in range(frames):
        grow = (1 + rate) ** index
        move = np.float32([[grow, 0, center * (1 - grow) + drift * index], [0, grow, center * (1 - grow)]])
        warped = cv2.warpAffine(picture, move, (size, size), flags=cv2.INTER_CUBIC)
        shown.append(warped[20:-20, 20:-20])
    return np.clip(np.stack(shown), 0, 255).astype(np.uint8)


def test_a_common_motion_is_removed_and_an_expansion_stays() -> None:
    flow, scale = compute_flow_maps(expanding(0.04, drift=2.0), SETTINGS)
    pixels = flow * scale
    assert flow.shape == (4, 2, SIDE, SIDE)
    assert flow.dtype == np.int8
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inner = (slice(8, -8), slice(8, -8))
    for field in pixels:
        assert np.abs(np.median(field, axis=(1, 2))).max() < 0.05
        slope_x = np.polyfit(x[inner].ravel(), field[0][inner].ravel(), 1)[0]
        slope_y = np.polyfit(y[inner].ravel(), field[1][inner].ravel(), 1)[0]
        assert (slope_x, slope_y) == pytest.approx((0.04, 0.04), abs=0.008)


def test_pure_motion_leaves_nothing() -> None:
    flow, scale = compute_flow_maps(expanding(0.0, drift=1.5), SETTINGS)
    assert np.abs(flow[:, :, 8:-8, 8:-8] * scale).mean() < 0.1


def test_values_are_clipped_to_the_recorded_bound() -> None:
    tight = Processing(flow_maps=4, flow_size=SIDE, size=SIDE, flow_bound_px=0.5)
    flow, scale = compute_flow_maps(expanding(0.04), tight)
    assert scale * 127 == pytest.approx(0.5)
    assert (flow.min(), flow.max()) == (-127, 127)


def test_crops_that_are_not_contiguous_are_accepted() -> None:
    frames = np.pad(expanding(0.04), ((0, 0), (5, 5), (5, 5)))
    crops = frames[:, 5:-5, 5:-5]
    assert not crops[0].flags["C_CONTIGUOUS"]
    assert np.array_equal(compute_flow_maps(crops, SETTINGS)[0], compute_flow_maps(expanding(0.04), SETTINGS)[0])


@pytest.mark.parametrize(("maps", "frames", "side"), [(10, 4, 32), (5, 12, 96), (0, 5, 32), (2, 1, 32)])
def test_any_number_of_maps_and_frames(maps: int, frames: int, side: int) -> None:
    flow, _ = compute_flow_maps(expanding(0.02, frames), Processing(flow_maps=maps, flow_size=side))
    assert flow.shape == (maps, 2, side, side)
    if frames == 1:
        assert not flow.any()


def test_maps_follow_the_order_of_time() -> None:
    """Frames that expand, then shrink: the sign of the divergence turns in the middle."""
    frames = np.concatenate([expanding(0.04), expanding(0.04)[::-1][1:]])
    flow, _ = compute_flow_maps(frames, Processing(flow_maps=8, flow_size=SIDE))
    outward = [float(f[0, :, 40:].mean() - f[0, :, :24].mean()) for f in flow.astype(float)]
    assert [value > 0 for value in outward] == [True] * 4 + [False] * 4
