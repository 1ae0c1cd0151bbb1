"""Tints: every map of the scanner side comes back to its levels, which a luminance conversion would not do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from client import tint
from sim.scanner import TINTS as SHOWN

LEVELS = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_levels_come_back_from_every_map(name: str) -> None:
    shown = SHOWN[name][LEVELS][None]  # (1 256 3)
    told = tint.level(shown, name if name in tint.TINTS else tint.BRIGHTEST)
    assert np.abs(told[0].astype(int) - LEVELS).max() <= 1


def test_gold_is_not_a_luminance() -> None:
    shown = tint.TINTS["gold"].forward()[None]
    told = tint.level(shown, "gold")[0].astype(int)
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[0]
    assert [told[24], told[96], told[240]] == [24, 96, 240]
    assert [int(grey[96]), int(grey[240])] == [65, 218]  # what the shortcut would read


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_guessed_map_gives_the_levels_too(name: str) -> None:
    picture = SHOWN[name][np.tile(LEVELS, (40, 1))]
    guessed = tint.guess([np.zeros_like(picture), picture])
    assert guessed == {"gold": "gold", "grey": "grey"}.get(name, guessed)
    assert np.abs(tint.level(picture, guessed).astype(int) - LEVELS).max() <= 1


def test_grey_noise_is_not_read_high() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    assert tint.level(noise, tint.BRIGHTEST).mean() == pytest.approx(100, abs=1)
    assert tint.is_coloured(SHOWN["gold"][np.full((9, 9), 80)])
    assert not tint.is_coloured(SHOWN["grey"][np.full((9, 9), 80)])
