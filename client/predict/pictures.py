"""The pictures of an answer: key frames and flow maps, and both under the colours of Grad-CAM, as RGB arrays.

Grad-CAM has cividis (Nuñez et al. 2018), whose brightness rises with the value and which colour-blind readers see as
others do. One scale holds for all frames of a strip, another for its flow maps: from 0 to the strip's largest value.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from ceus_models.figures.palette import LESION
from ceus_models.nets.gradcam import Cam
from client.data.imaging.recording import F64, U8
from client.data.sheets.flow_colours import colour_flow, compute_flow_bound, draw_colour_wheel
from client.data.sheets.picture_strip import place_outline_in_crop
from client.predict.prediction import Prediction

_SCALE = "cividis"
SCALE_CAPTION = f"colour scale {_SCALE}: from nothing (dark blue) to the strip's largest value (yellow)"
SHOWN_FRAMES, SHOWN_MAPS = 10, 10
_SIDE_PX = 144
_COVER = 0.55
"""Of the colours over the picture."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Pictures u8 (h w 3) side by side. titles: one a picture."""

    caption: str
    pictures: tuple[U8, ...]
    titles: tuple[str, ...]


def draw_pictures(prediction: Prediction) -> tuple[Strip, ...]:
    """Evenly chosen key frames with the outline, the same under Grad-CAM, flow maps, and these under Grad-CAM."""
    sample, trace = prediction.lesion.sample, prediction.lesion.trace
    picked, maps = _spread(len(sample.frames), SHOWN_FRAMES), _spread(len(trace.flow), SHOWN_MAPS)
    times = tuple(f"{trace.seconds[trace.chosen[place]]:.1f} s" for place in picked)
    numbers = tuple(f"map {place + 1}" for place in maps)
    ring, bound = place_outline_in_crop(trace, 1), compute_flow_bound(trace.flow)
    plain = [_resize(np.repeat(sample.frames[place][..., None], 3, axis=2)) for place in picked]
    flows = [_resize(_as_bytes(colour_flow(trace.flow[place], bound))) for place in maps]
    lengths = np.clip(np.hypot(trace.flow[:, 0], trace.flow[:, 1]) / bound, 0, 1)[..., None]
    grey = [_resize(_as_bytes(np.repeat(lengths[place], 3, axis=2))) for place in maps]
    name = prediction.looked.partition("/")[2]
    cells, flow_cells = _count_cells(prediction.spatial), _count_cells(prediction.temporal)
    return (
        Strip("Key frames with the outline (orange)", tuple(_outline(picture, ring) for picture in plain), times),
        Strip(
            f"Grad-CAM on the key frames: where the {name} net found what speaks for {name} ({cells})",
            _overlay_cam(plain, prediction.spatial, picked, ring),
            times,
        ),
        Strip(
            f"Flow between key frames: hue is the direction (wheel), full colour {bound:.1f} px",
            (*flows, _as_bytes(draw_colour_wheel(_SIDE_PX))),
            (*numbers, "directions"),
        ),
        Strip(
            f"Grad-CAM on the flow maps, over the length of the flow in grey ({flow_cells})",
            _overlay_cam(grey, prediction.temporal, maps, ring),
            numbers,
        ),
    )


def draw_scale_bar(width: int, height: int) -> U8:
    """The colours from 0 at the left to the largest value."""
    row = _colour_shares(np.linspace(0, 1, width)[None])
    return np.repeat(row, height, axis=0)


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))}) if count else []


def _resize(picture: U8) -> U8:
    return np.asarray(cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _overlay_cam(pictures: list[U8], cam: Cam, picked: list[int], ring: F64) -> tuple[U8, ...]:
    """Pictures under shares 0-1 of the strip's largest value, smoothly enlarged from the layer's cells."""
    top = float(cam.maps.max(initial=0.0)) or 1.0
    covered = []
    for picture, place in zip(pictures, picked, strict=True):
        shares = cv2.resize(cam.maps[place] / top, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
        colours = _colour_shares(np.clip(np.asarray(shares, dtype=np.float64), 0, 1))
        covered.append(_outline(np.rint((1 - _COVER) * picture + _COVER * colours).astype(np.uint8), ring))
    return tuple(covered)


def _count_cells(cam: Cam) -> str:
    rows, columns = cam.maps.shape[1:]
    return f"{rows} x {columns} cells of {cam.layer}"


def _colour_shares(shares: F64) -> U8:
    return np.asarray(colormaps[_SCALE](shares, bytes=True)[..., :3], dtype=np.uint8)


def _as_bytes(colours: F64) -> U8:
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)


def _outline(picture: U8, ring: F64) -> U8:
    """ring (n 2): the closed outline in a crop of one pixel."""
    drawn = Image.fromarray(picture)
    points = [(float(x), float(y)) for x, y in (ring + 0.5) * _SIDE_PX - 0.5]
    ImageDraw.Draw(drawn).line(points, fill=LESION, width=1, joint="curve")
    return np.asarray(drawn, dtype=np.uint8)
