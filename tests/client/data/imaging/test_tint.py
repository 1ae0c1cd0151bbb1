"""Tints: every map of the scanner side comes back to its levels, which a luminance conversion would not do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from client.data.imaging import tint
from sim.hospital.screens import TINTS as SHOWN

LEVELS = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_levels_come_back_from_every_map(name: str) -> None:
    shown = SHOWN[name][LEVELS][None]  # (1 256 3)
    told = tint.recover_levels(shown, tint.find_tint(name, [shown], tint.TINTS))
    assert np.abs(told[0].astype(int) - LEVELS).max() <= 1


def test_gold_is_not_a_luminance() -> None:
    shown = tint.TINTS["gold"].forward()[None]
    told = tint.recover_levels(shown, tint.TINTS["gold"])[0].astype(int)
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[0]
    assert [told[24], told[96], told[240]] == [24, 96, 240]
    assert [int(grey[96]), int(grey[240])] == [65, 218]  # what the shortcut would read


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_a_guessed_map_gives_the_levels_too(name: str) -> None:
    picture = SHOWN[name][np.tile(LEVELS, (40, 1))]
    guessed = tint.guess_tint([np.zeros_like(picture), picture], tint.TINTS)
    assert guessed == tint.TINTS.get(name, guessed)
    assert np.abs(tint.recover_levels(picture, guessed).astype(int) - LEVELS).max() <= 1


def test_grey_noise_is_not_read_high() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    assert tint.recover_levels(noise, tint.find_tint(tint.BRIGHTEST, [noise], tint.TINTS)).mean() == pytest.approx(
        100, abs=1
    )
    assert tint.is_coloured(SHOWN["gold"][np.full((9, 9), 80)])
    assert not tint.is_coloured(SHOWN["grey"][np.full((9, 9), 80)])


def test_a_site_adds_a_map_of_its_own() -> None:
    """A map whose level is in no channel: the brightest one would read level 100 as 178."""
    own = tint.Tint(((0, 0, 0, 0), (100, 178, 90, 20), (255, 255, 240, 200)), 1)
    tints = {**tint.TINTS, "own": own}
    picture = own.forward()[np.tile(LEVELS, (40, 1))]
    for found in (tint.find_tint("own", [picture], tints), tint.guess_tint([picture], tints)):
        assert found == own
        assert np.abs(tint.recover_levels(picture, found).astype(int) - LEVELS).max() <= 1
    assert tint.recover_levels(picture, tint.guess_tint([picture], tint.TINTS))[0, 100] == 178


def test_the_brightest_channel_is_chosen_once_for_a_clip() -> None:
    """A dark frame with blue noise is read by the clip's red channel like the others."""
    copper = SHOWN["copper"][np.full((20, 20), 200)]
    dark = np.zeros((20, 20, 3), np.uint8)
    dark[..., 2] = 3
    found = tint.guess_tint([dark, copper], tint.TINTS)
    assert found.channel == 0
    assert tint.recover_levels(dark, found).max() == 0
