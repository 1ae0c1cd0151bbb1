"""Where the key frames begin: a plain frame before the first arrival, on curves of every kind and on phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from made_exams import FULL, PLAN, exam_of, phantom

from client.data.analysis import tic
from client.data.analysis.arrival import build_surrounding_mask, locate_start
from client.data.analysis.exam_doubts import list_exam_doubts
from client.data.analysis.trace import trace_exam
from client.data.imaging.clip import Clip
from sim.phantom.draw import Truth

F64 = npt.NDArray[np.float64]
SECONDS = np.arange(0.0, 90.0, 0.2)
RATES_HZ = (1.5, 5.0, 20.0)


def bolus(arrival_s: float, rise_s: float = 8.0, gain: float = 30.0, seconds: F64 = SECONDS) -> F64:
    """A baseline of 1, a straight rise, and a plateau that decays by half in two minutes."""
    risen = ((seconds - arrival_s) / rise_s).clip(0.0, 1.0)
    return np.asarray(1.0 + gain * risen * 0.5 ** ((seconds - arrival_s - rise_s).clip(0.0) / 120.0))


def noisy(values: F64, cells: float, seed: int = 1) -> F64:
    """Speckle averaged over so many resolution cells."""
    return np.asarray(values * np.random.default_rng(seed).gamma(cells, 1 / cells, len(values)))


def start_s(*curves: F64, seconds: F64 = SECONDS) -> float:
    """When the key frames begin."""
    whole = np.zeros(len(seconds), dtype=bool)
    return float(seconds[locate_start([tic.build_curve(one, seconds, whole, 2.0) for one in curves], seconds)])


@pytest.mark.parametrize("hertz", RATES_HZ)
@pytest.mark.parametrize("cells", [15, 60, 400])
@pytest.mark.parametrize("arrival_s", [3.0, 12.0, 40.0, 70.0])
def test_the_start_is_the_arrival_however_late_and_noisy(arrival_s: float, cells: float, hertz: float) -> None:
    seconds = np.arange(0.0, 90.0, 1 / hertz)
    for seed in range(5):
        lesion = noisy(bolus(arrival_s, seconds=seconds), cells, seed)
        liver = noisy(bolus(arrival_s + 4.0, 20.0, seconds=seconds), 10 * cells, seed + 50)
        found = start_s(lesion, liver, seconds=seconds)
        assert max(0.0, arrival_s - 3.5) <= found <= arrival_s + 0.5


def test_the_first_frame_kept_is_a_plain_one() -> None:
    values = bolus(20.0)
    first = int(np.searchsorted(SECONDS, start_s(values)))
    share = (values - 1.0) / (values.max() - 1.0)
    assert share[first] == 0.0
    assert share[first + 10] > 0.05


@pytest.mark.parametrize("rise_s", [2.0, 15.0, 40.0, 65.0])
def test_a_slow_rise_begins_at_its_foot(rise_s: float) -> None:
    found = start_s(noisy(bolus(15.0, rise_s), 100))
    assert 15.0 - 2.5 <= found <= 15.0 + max(0.0, 0.1 * rise_s - 1.0)


def test_liver_that_rises_before_a_lesion_decides_and_the_other_way_round() -> None:
    early, late = bolus(10.0), bolus(35.0)
    assert start_s(late, early) == start_s(early, late) == pytest.approx(9.2, abs=0.5)


@pytest.mark.parametrize("seed", range(10))
def test_a_lesion_that_hardly_enhances_leaves_the_start_to_the_liver(seed: int) -> None:
    lesion, liver = noisy(np.ones(len(SECONDS)), 15, seed), noisy(bolus(22.0), 400, seed + 50)
    assert start_s(lesion, liver) == pytest.approx(21.2, abs=1.5)


@pytest.mark.parametrize("hertz", RATES_HZ)
@pytest.mark.parametrize("cells", [15, 400])
def test_without_a_rise_the_clip_is_taken_whole(cells: float, hertz: float) -> None:
    seconds = np.arange(0.0, 90.0, 1 / hertz)
    whole = [
        start_s(
            noisy(np.ones(len(seconds)), cells, seed), noisy(np.ones(len(seconds)), 400, 99 - seed), seconds=seconds
        )
        for seed in range(20)
    ]
    assert whole == [0.0] * 20
    assert start_s(np.ones(len(SECONDS)), np.zeros(len(SECONDS))) == 0.0


@pytest.mark.parametrize("begins_s", [26.0, 30.0, 60.0])
def test_a_clip_that_begins_in_full_enhancement_is_taken_whole(begins_s: float) -> None:
    seconds = SECONDS[begins_s <= SECONDS]
    lesion, liver = (noisy(bolus(15.0, 10.0, seconds=seconds), cells) for cells in (60, 400))
    assert start_s(lesion, liver, seconds=seconds) <= begins_s + 1.0


def test_one_bright_frame_of_the_baseline_is_no_arrival() -> None:
    values = noisy(bolus(40.0), 100)
    values[[50, 90]] = values.max()
    assert start_s(values) == pytest.approx(39.2, abs=1.0)


def test_the_surroundings_are_the_box_without_the_outline() -> None:
    square = np.array([[3.0, 4.0], [6.0, 4.0], [6.0, 7.0], [3.0, 7.0]])
    weights, low = build_surrounding_mask(square, (1, 2, 9, 10))
    assert (weights.shape, low.tolist()) == ((8, 8), [1, 2])
    assert weights[2:6, 2:6].max() == 0.0
    assert weights.sum() == 64 - 16


def true_arrival_s(truth: Truth) -> float:
    """When the first of lesion and liver has risen to 5 % of its highest value, without noise."""
    curves = (truth.lesion_tic, truth.parenchyma_tic)
    return float(min(truth.seconds[np.argmax(curve >= 0.05 * curve.max())] for curve in curves))


@pytest.mark.parametrize("bmode", [True, False])
def test_key_frames_of_phantoms_show_enhancement_and_not_the_wait(bmode: bool) -> None:
    """Of nine key frames up to the peak few lie before the arrival, where most did."""
    early: dict[str, list[int]] = {"arrival": [], "clip": []}
    for number in range(6):
        _, clips, truth = phantom(number, replace(FULL, continuous_s=45.0, snapshots_s=(90.0,)))
        exam, outline = exam_of(clips, truth, bmode)
        for start, counts in early.items():
            traced = trace_exam(exam, outline, replace(PLAN, start=start))
            seconds = traced.trace.seconds[traced.trace.chosen[:9]]
            counts.append(int((seconds < true_arrival_s(truth)).sum()))
            if start == "arrival":
                assert seconds[0] <= true_arrival_s(truth) + 1.0, "the arrival itself is shown"
    assert np.mean(early["arrival"]) <= 2.5
    assert np.mean(early["clip"]) >= 4.0


@pytest.mark.parametrize("part", ["no rise", "full enhancement"])
def test_a_phantom_without_baseline_or_rise_is_doubted_and_taken_whole(part: str) -> None:
    for number in range(3):
        _, clips, truth = phantom(number, replace(FULL, continuous_s=60.0, snapshots_s=()))
        first = clips[0]
        kept = first.seconds < true_arrival_s(truth) - 5.0 if part == "no rise" else first.seconds > truth.peak_s + 5.0
        index = np.flatnonzero(kept)
        cut = _select(first, index)
        at = int(np.clip(np.searchsorted(index, truth.reference), 0, len(index) - 1))
        exam, outline = exam_of([cut], replace(truth, reference=at), bmode=True)
        assert [doubt.reason for doubt in list_exam_doubts(exam, [cut])] == ["no-baseline"]
        trace = trace_exam(exam, outline, PLAN).trace
        assert trace.seconds[trace.chosen[0]] <= trace.seconds[0] + 2.0


def _select(clip: Clip, index: npt.NDArray[np.int64]) -> Clip:
    panes = {"contrast": clip.contrast.select(index), "bmode": clip.bmode.select(index) if clip.bmode else None}
    return replace(clip, seconds=clip.seconds[index], **panes)
