"""Time stamps are used whole or not at all; none is made up, but the last one of a WMV file."""

from __future__ import annotations

import pytest

from client.data.imaging.recording import ClipError
from client.data.imaging.video.frame_times import Stamps, read_stamps


def seconds(*stamps: float | None) -> list[float] | None:
    found = read_stamps(stamps)
    return None if found is None else found.seconds.tolist()


def test_stamps_count_from_the_first_frame() -> None:
    assert seconds(0.04, 0.14, 0.19) == pytest.approx([0.0, 0.1, 0.15])
    assert seconds(-0.2, 0.1) == pytest.approx([0.0, 0.3])


def test_bare_streams_have_none() -> None:
    assert seconds(None, None, None) is None


def test_the_last_frame_of_a_wmv_file_has_a_time_though_it_has_no_stamp() -> None:
    """As seen in real ones (ceus.md 5.2)."""
    assert seconds(0.04, 0.14, 0.24, None) == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("stamps", "value"),
    [
        ((0.0, None, 0.2, 0.3), "1 of 4 frames lack"),
        ((None, 0.1, 0.2, 0.3), "1 of 4 frames lack"),
        ((0.0, 0.1, None, None), "2 of 4 frames lack"),
        ((0.0, 0.1, 0.1, 0.3), "1 are not later"),
        ((0.0, 0.2, 0.1, 0.3), "1 are not later"),
        ((0.0, 0.0, 0.0, 0.0), "3 are not later"),
    ],
)
def test_stamps_with_holes_or_that_do_not_rise_are_a_fault(stamps: Stamps, value: str) -> None:
    with pytest.raises(ClipError, match=value) as caught:
        read_stamps(stamps)
    assert caught.value.reason == "no-frame-times"
