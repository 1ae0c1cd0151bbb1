"""Exams of phantom lesions whose motion and curves are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from made_frames import frames_of
from toy_cases import ENTITIES, case

from ceus_models.study.processing import Processing
from client.data.analysis.exam import Exam, crop_clip, join_clips
from client.data.analysis.trace import box_around
from client.data.imaging.clip import Clip
from sim.phantom.draw import LesionDraw, Machine, PhantomSettings, Truth, draw_lesion
from sim.phantom.render import render

FULL = PhantomSettings(
    pane_px=(128, 128), frame_rate_hz=5.0, continuous_s=60.0, snapshots_s=(90.0, 180.0), full_motion=True
)
PLAN = Processing(
    frames_to_peak=9, frames_after=6, size=32, flow_maps=4, flow_size=32, margin_px=8.0, max_shift_px=32.0
)


def phantom(number: int, settings: PhantomSettings = FULL, seed: int = 11) -> tuple[LesionDraw, list[Clip], Truth]:
    """The `number`th lesion: its draw, its dual-view clips and its truth. Types take turns."""
    draw = np.random.default_rng(number)
    size = float(np.clip(np.exp(draw.normal(np.log(4), 0.45)), 1.2, 11))
    lesion = case(number, *ENTITIES[number % len(ENTITIES)], size_cm=size)
    drawn = draw_lesion(lesion, settings, Machine(gain_db=float(draw.normal(0, 2))), True, seed)
    films, truth = render(drawn, settings)
    box = (0, 0, *films[0].contrast.shape[2:0:-1])
    range_db = drawn.dynamic_range_db
    clips = [
        Clip(frames_of(f.contrast), frames_of(f.bmode), f.seconds, None, box, box, box[3], box[2], range_db)
        for f in films
    ]
    return drawn, clips, truth


def outline_of(truth: Truth) -> npt.NDArray[np.float64]:
    """The lesion's outline (n 2) on the reference frame."""
    pieces, _ = cv2.findContours(truth.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(pieces, key=cv2.contourArea).reshape(-1, 2), dtype=np.float64)


def exam_of(
    clips: list[Clip], truth: Truth, bmode: bool, plan: Processing = PLAN
) -> tuple[Exam, npt.NDArray[np.float64]]:
    """The exam as the pipeline makes it, and the outline on it."""
    outline = outline_of(truth)
    part = box_around(outline, plan.margin_px + plan.max_shift_px + 16)
    views = [clip if bmode else replace(clip, bmode=None, bmode_box=None) for clip in clips]
    cut = [crop_clip(clip, part) for clip in views]
    return join_clips(cut, truth.reference), outline - np.array(cut[0].offset)
