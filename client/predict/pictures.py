"""The pictures of an answer: key frames and flow maps, and both under the colours of Grad-CAM, as RGB arrays.

Grad-CAM has cividis (Nuñez et al. 2018), whose brightness rises with the value and which colour-blind readers see as
others do. One scale holds for all frames of a strip, another for its flow maps: from 0 to the strip's largest value.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image, ImageDraw

from ceus_models.nets.gradcam import Cam
from client.data.sheets.drawing import F64, LESION, flow_colours, wheel
from client.data.sheets.quality_sheet import outline_in_crop
from client.predict.prediction import Prediction

U8 = npt.NDArray[np.uint8]
SCALE = "cividis"
SHOWN_FRAMES, SHOWN_MAPS = 10, 10
_SIDE_PX = 144
_COVER = 0.55
"""Of the colours over the picture."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Pictures u8 (h w 3) side by side. titles: one a picture."""

    pictures: tuple[U8, ...]
    titles: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Pictures:
    """frames: with the outline · frames_cam, flow_cam: with Grad-CAM over them · bound_px: length of a flow of full
    colour.
    """

    frames: Strip
    frames_cam: Strip
    flow: Strip
    flow_cam: Strip
    bound_px: float


def pictures_of(prediction: Prediction) -> Pictures:
    """Of evenly chosen key frames, and of all flow maps up to SHOWN_MAPS."""
    lesion = prediction.lesion
    sample, trace = lesion.sample, lesion.trace
    picked = _even(len(sample.frames), SHOWN_FRAMES)
    times = tuple(f"{trace.seconds[trace.chosen[place]]:.1f} s" for place in picked)
    ring = outline_in_crop(trace, 1)
    plain = [_sized(np.repeat(sample.frames[place][..., None], 3, axis=2)) for place in picked]
    covers = _covers(prediction.spatial, picked)
    maps = _even(len(trace.flow), SHOWN_MAPS)
    lengths = np.hypot(trace.flow[:, 0], trace.flow[:, 1])
    bound = max(float(np.percentile(lengths, 99)) if lengths.size else 0.0, 0.1)
    flows = [_sized(_bytes(flow_colours(trace.flow[place], bound))) for place in maps]
    grey = [_sized(_bytes(np.repeat(np.clip(lengths[place] / bound, 0, 1)[..., None], 3, axis=2))) for place in maps]
    numbers = tuple(f"map {place + 1}" for place in maps)
    return Pictures(
        frames=Strip(tuple(_outlined(picture, ring) for picture in plain), times),
        frames_cam=Strip(_covered(plain, covers, ring), times),
        flow=Strip((*flows, _bytes(wheel(_SIDE_PX))), (*numbers, "directions")),
        flow_cam=Strip(_covered(grey, _covers(prediction.temporal, maps), ring), numbers),
        bound_px=bound,
    )


def scale_bar(width: int, height: int) -> U8:
    """The colours from 0 at the left to the largest value."""
    row = _colours(np.linspace(0, 1, width)[None])
    return np.repeat(row, height, axis=0)


def _even(count: int, most: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))}) if count else []


def _sized(picture: U8) -> U8:
    return np.asarray(cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _covers(cam: Cam, picked: list[int]) -> list[F64]:
    """Shares 0-1 of the strip's largest value, smoothly enlarged from the layer's cells."""
    top = float(cam.maps.max(initial=0.0)) or 1.0
    sized = (cv2.resize(cam.maps[place] / top, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC) for place in picked)
    return [np.clip(np.asarray(one, dtype=np.float64), 0, 1) for one in sized]


def _covered(pictures: list[U8], covers: list[F64], ring: F64) -> tuple[U8, ...]:
    mixed = ((1 - _COVER) * picture + _COVER * _colours(cover) for picture, cover in zip(pictures, covers, strict=True))
    return tuple(_outlined(np.rint(picture).astype(np.uint8), ring) for picture in mixed)


def _colours(shares: F64) -> U8:
    return np.asarray(colormaps[SCALE](shares, bytes=True)[..., :3], dtype=np.uint8)


def _bytes(colours: F64) -> U8:
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)


def _outlined(picture: U8, ring: F64) -> U8:
    """ring (n 2): the closed outline in a crop of one pixel."""
    drawn = Image.fromarray(picture)
    points = [(float(x), float(y)) for x, y in (ring + 0.5) * _SIDE_PX - 0.5]
    ImageDraw.Draw(drawn).line(points, fill=LESION, width=1, joint="curve")
    return np.asarray(drawn, dtype=np.uint8)
