"""The fan's mask: text beside the fan goes, nothing of the fan does, on phantom geometry and on a real sweep."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from made_frames import frames_of, tape_of

from client.data.imaging.clip import open_clip
from client.data.imaging.fan import find_fan
from client.data.imaging.video import reader as video

DATA = Path(__file__).parents[3] / "data"
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def sector(rows: int = 300, columns: int = 360) -> Mask:
    """A curved array's fan with its apex above the pane: concave on top, convex below."""
    y, x = np.mgrid[:rows, :columns]
    away, angle = np.hypot(y + 80, x - columns / 2), np.arctan2(x - columns / 2, y + 80)
    return np.asarray((away > 100) & (away < 370) & (np.abs(angle) < np.deg2rad(31)))


def pane(fan: Mask, frames: int = 60, seed: int = 0, late: bool = True) -> U8:
    """Speckle that refreshes in the fan, darker with depth; late: black below one third until half of the clip."""
    draw = np.random.default_rng(seed)
    depth = np.linspace(1.0, 0.15, fan.shape[0])[:, None]
    out = np.zeros((frames, *fan.shape), np.uint8)
    for number in range(frames):
        noise = cv2.GaussianBlur(draw.standard_normal(fan.shape).astype(np.float32), (0, 0), 1.4)
        lit = 1.0 if number > frames // 2 or not late else np.linspace(1, 0, fan.shape[0])[:, None] > 1 / 3
        out[number] = np.where(fan, np.clip((60 + 300 * noise) * depth * lit, 0, 255), 0)
    return out


def written_over(levels: U8, fan: Mask, timer: bool = True) -> U8:
    """Text, a ruler and a bar beside the fan, and a timer that runs."""
    still = np.zeros(fan.shape, np.uint8)
    cv2.putText(still, "DOE JANE", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 205, 1, cv2.LINE_AA)
    still[40:160:20, -8:-2] = 160
    still[60:120, 2:6] = np.linspace(255, 20, 60)[:, None]
    still[fan] = 0
    out = levels + still
    for number, picture in enumerate(out if timer else ()):
        text = np.zeros(fan.shape, np.uint8)
        cv2.putText(text, f"00:{number % 60:02d}", (300, 292), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 205, 1)
        picture[~fan] = np.maximum(picture, text)[~fan]
    return np.asarray(out)


def masked(levels: U8, fan: Mask) -> U8:
    """Levels as they come out of a clip with this fan."""
    tape = tape_of(levels)
    tape.apply_mask(fan)
    return np.stack(tape.to_frames())


@pytest.mark.parametrize("shape", ["sector", "rectangle"])
@pytest.mark.parametrize("seed", range(3))
def test_text_goes_and_the_fan_stays(shape: str, seed: int) -> None:
    fan = sector()
    if shape == "rectangle":
        fan = np.zeros_like(fan)
        fan[30:280, 90:300] = True
    clean = pane(fan, seed=seed)
    levels = written_over(clean, fan)
    found = find_fan([frames_of(levels)])
    assert found is not None
    levels = masked(levels, found)
    assert np.array_equal(levels[:, fan], clean[:, fan])  # to the last pixel
    assert levels[:, ~fan].max() == 0


def test_panes_of_one_geometry_share_their_fan() -> None:
    """The contrast pane is black before the bolus: where only B-mode moves, contrast is fan all the same."""
    fan = sector()
    bmode, contrast = pane(fan), np.zeros((60, *fan.shape), np.uint8)
    contrast[:, 100:130, 150:200] = np.arange(60, dtype=np.uint8)[:, None, None]
    contrast[0, 250, 180] = 77  # seen in one frame only, which is not among the sampled ones
    contrast[1, 250, 181] = 77
    levels = written_over(contrast, fan)
    found = find_fan([frames_of(levels), frames_of(bmode)])
    assert found is not None
    levels = masked(levels, found)
    assert np.array_equal(levels[:, fan], contrast[:, fan])
    assert levels[:, ~fan].max() == 0


def test_a_clip_in_which_nothing_moves_has_no_fan() -> None:
    still = np.repeat(pane(sector(), 2)[1:], 12, axis=0)
    assert find_fan([frames_of(still)]) is None
    assert find_fan([frames_of(still[:1])]) is None


@pytest.mark.parametrize("name", ["liver_sweep_vfr.mp4", "liver_sweep_23fps_mjpg.avi"])
def test_a_real_fan_loses_nothing(name: str) -> None:
    """Everything in the file is fan: its surroundings are black. Noise of 2 levels is the codec's."""
    clip = open_clip(DATA / name, 0.0, None, ())
    worst = 0
    for shown, picture in zip(clip.contrast[::7], list(video.open(DATA / name).pictures())[::7], strict=True):
        worst = max(worst, int(np.abs(shown.astype(int) - picture[..., 1]).max()))
    assert worst <= 10
    assert (np.stack(clip.contrast) == 0).mean() > 0.25
