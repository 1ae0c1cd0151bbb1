"""Times of the frames: the stated order of trust, irregular times as they are, and where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import moving_disc, write_dicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from client.data.imaging.clip import ClipError, open_clip
from client.data.imaging.dicom.frame_times import ORDER, HeaderTimes
from client.data.imaging.screen import Screen

VECTOR = {"FrameTimeVector": [500.0, 33.0, 50.0, 33.0]}
ALL: dict[str, Any] = {**VECTOR, "FrameTime": 40.0, "CineRate": 20, "RecommendedDisplayFrameRate": 10}
WHOLE = Screen("*", 96, 128, (0, 0, 128, 96), None, "grey", 60.0)


def clock(**tags: Any) -> HeaderTimes:
    header = Dataset()
    for name, value in tags.items():
        setattr(header, name, value)
    return HeaderTimes.from_header(header)


def test_each_source_stands_in_for_the_ones_before_it() -> None:
    """Taking away the best source each time walks down the order."""
    left = dict(ALL)
    steps = {"FrameTimeVector": [0.033, 0.05, 0.033], "FrameTime": [0.04] * 3, "CineRate": [0.05] * 3}
    steps["RecommendedDisplayFrameRate"] = [0.1] * 3
    for name in ORDER:
        times = clock(**left).resolve(4, 1.0)
        assert times.source == name
        assert np.diff(times.seconds) == pytest.approx(steps[name])
        assert times.seconds[0] == 0.0  # the vector's first entry, 500 ms, is no interval
        del left[name]
    assert clock().resolve(4, 2.0).source == "manifest"
    with pytest.raises(ClipError, match="frame_rate_hz"):
        clock().resolve(4, None)


def test_the_pointer_decides_between_the_vector_and_the_interval() -> None:
    assert clock(**ALL, FrameIncrementPointer=Tag(0x00181063)).resolve(4, None).source == "FrameTime"
    assert clock(**ALL, FrameIncrementPointer=Tag(0x00181065)).resolve(4, None).source == "FrameTimeVector"
    assert clock(**VECTOR, FrameIncrementPointer=Tag(0x00181063)).resolve(4, None).source == "FrameTimeVector"


def test_a_series_of_snapshots_keeps_its_slow_times() -> None:
    """FrameTime of about 900 ms with CineRate 1, as exported: 0.9 s stands, not 1 s."""
    assert np.diff(clock(FrameTime=901.5, CineRate=1).resolve(3, None).seconds) == pytest.approx([0.9015] * 2)


@pytest.mark.parametrize(
    "vector", [[0.0, 40.0], [0.0, 40.0, 40.0, -40.0], [0.0, 0.0, 0.0, 0.0], [0.0, 40.0, float("nan"), 40.0], []]
)
def test_a_vector_that_cannot_be_one_gives_way(vector: list[float]) -> None:
    assert clock(FrameTimeVector=vector, FrameTime=50.0).resolve(4, None).source == "FrameTime"


@pytest.mark.parametrize("value", [0.0, -5.0, "", None])
def test_a_time_of_nothing_is_none(value: object) -> None:
    assert clock(FrameTime=value, CineRate=25).resolve(4, None).source == "CineRate"


def test_the_clip_says_where_its_times_are_from(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", moving_disc(4), "RGB", ALL)
    clip = open_clip(path, 7.0, 99.0, [WHOLE])
    assert (clip.times_from, clip.seconds.tolist()) == ("FrameTimeVector", pytest.approx([7.0, 7.033, 7.083, 7.116]))
    path = write_dicom(tmp_path / "b.dcm", moving_disc(4), "RGB", {})
    assert open_clip(path, 0.0, 5.0, [WHOLE]).times_from == "manifest"


@pytest.mark.parametrize(
    "tags",
    [
        {"FrameTime": 902.0, "CineRate": 1, "EffectiveDuration": 37},  # a slow series
        {"FrameTime": 3000.0, "CineRate": 1},
        {"FrameTime": 67.0, "CineRate": 15, "EffectiveDuration": 3},  # whole numbers
        {"FrameTime": 33.33, "CineRate": 30, "RecommendedDisplayFrameRate": 15},
        {"FrameTimeVector": [33.0] + [620.0, 710.0] * 19 + [1330.0], "CineRate": 2, "FrameTime": 666.7},  # a lost frame
        {"FrameTimeVector": [0.0] + [100.0] * 40},  # one entry more than frames
        {"CineRate": 25, "RecommendedDisplayFrameRate": 12},
    ],
)
def test_what_scanners_round_is_no_contradiction(tags: dict[str, Any]) -> None:
    found = clock(**tags).resolve(40, None)
    assert found.doubts == (), [doubt.value for doubt in found.doubts]
    rate = (len(found.seconds) - 1) / found.span_s
    assert clock(**tags).resolve(40, float(f"{rate:.1f}")).doubts == ()


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"FrameTime": 33.3, "CineRate": 10}, "CineRate 10"),
        ({"FrameTime": 500.0, "CineRate": 3}, "CineRate 3"),
        ({"FrameTime": 33.3, "EffectiveDuration": 40.0}, "EffectiveDuration 40 s"),
        ({"FrameTimeVector": [0.0] + [500.0] * 39, "FrameTime": 40.0}, "FrameTime 40 ms"),
        ({"FrameTimeVector": [0.0] + [500.0] * 30, "FrameTime": 500.0}, "31 entries for 40 frames"),
        ({"CineRate": 10, "EffectiveDuration": 60.0}, "EffectiveDuration 60 s"),
    ],
)
def test_what_contradicts_the_times_is_named_with_both_numbers(tags: dict[str, Any], named: str) -> None:
    (doubt,) = clock(**tags).resolve(40, None).doubts
    assert (doubt.reason, doubt.withholds) == ("times-disagree", True)
    assert named in doubt.value


def test_impossible_times_give_way_to_those_of_the_table_and_are_else_refused() -> None:
    for tags in ({"FrameTime": 1.0}, {"FrameTime": 40000.0}, {"CineRate": 2000}):
        assert clock(**tags).resolve(40, 2.0).source == "manifest"
        with pytest.raises(ClipError) as caught:
            clock(**tags).resolve(40, None)
        assert caught.value.reason == "impossible-frame-times"
