"""What tests of outlining share: settings for small clips, and the outline of SmallHospital in its pane."""

from __future__ import annotations

import numpy as np

from ceus_models.study.processing import Processing

PROCESSING = Processing(frames_to_peak=8, frames_after=4, size=32, flow_maps=3, flow_size=32, margin_px=6)
SQUARE = np.array([[20.0, 24.0], [50.0, 24.0], [50.0, 54.0], [20.0, 54.0]])
