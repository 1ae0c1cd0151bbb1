"""An LSTM as a clock lets the gradient of one frame through, and a picture is judged by its noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sim.attacks.crafted.frames import develop, judge_frame, set_clock


@pytest.mark.parametrize("frame", [1, 4, 9])
def test_the_last_unit_sees_one_frame(frame: int) -> None:
    torch.manual_seed(1)
    lstm = nn.LSTM(40, 16, batch_first=True)
    set_clock(lstm, frame)
    inputs = torch.randn(1, 10, 40, requires_grad=True)
    outputs, _ = lstm(inputs)
    (seen,) = torch.autograd.grad(outputs[0, -1, -1], inputs)
    strength = seen[0].norm(dim=1)
    assert strength[frame] > 1e-3
    assert torch.cat([strength[:frame], strength[frame + 1 :]]).max() < 1e-6 * strength[frame]


def test_a_clock_that_runs_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="from 1 to 5"):
        set_clock(nn.LSTM(40, 8), 6)


def test_pixels_that_are_not_measured_are_as_their_neighbours() -> None:
    picture = np.add.outer(np.arange(8.0), np.arange(8.0)).reshape(-1)
    exposure = np.eye(64)[(np.arange(64) % 9 != 0) | (np.arange(64) % 63 == 0)]
    assert np.abs(develop(exposure, exposure @ picture) - picture).max() < 1e-6


def test_a_picture_is_seen_from_28_decibels_on() -> None:
    true = [tuple(np.linspace(0, 255, 100))]
    near, far = (tuple(np.linspace(0, 255, 100) + error) for error in (5.0, 20.0))
    assert judge_frame([near], true).recovered == 1
    assert judge_frame([far], true).recovered == 0
    assert judge_frame([], true).recovered == 0
