"""What the key frames show, by where they begin: with the clip, or with the arrival of contrast.

    python -m benchmarks.key_frames PLAN RUN [--lesions 200] [--out FILE]

RUN holds phantom hospitals of the plan (`ceus-sim hospital PLAN --out RUN`). Of some of their lesions, evenly chosen,
and both starts: how many key frames up to the peak lie before the true arrival, in the lesion (below 5 % of its peak)
and in lesion or liver, whichever is first; mean of the first flow map, and in how many lesions it is below 0.1 px.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import publish
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.data.analysis.keyframes import spread_evenly
from client.data.analysis.pipeline import trace_row
from client.data.analysis.trace import TracedExam
from client.data.forms.site_config import load_site
from client.data.table.manifest import read_manifest
from sim.hospital.prepare import TRUTH
from sim.hospital.shared_hospitals import list_site_folders
from sim.hospital.truth import read_truth
from sim.phantom.draw import Truth

_SHARE = 0.05
_STILL_PX = 0.1
HEAD = (
    "start",
    "lesions",
    "of key frames",
    "before the lesion's",
    "before the first",
    "first flow map, px",
    "below 0.1 px",
)


def main() -> None:
    """Trace the lesions with both starts, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--lesions", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    processing = load_plan(given.plan).processing
    found: dict[str, list[Sequence[float]]] = {"clip": [], "arrival": []}
    for start, measured in found.items():
        for traced, truth in trace_lesions(given.run, given.lesions, replace(processing, start=start)):
            measured.append(measure_start(traced, truth, processing))
    rows = [
        (
            start,
            len(measured),
            processing.frames_to_peak,
            *(round(fmean(column), 2) for column in zip(*measured, strict=True)),
        )
        for start, measured in found.items()
    ]
    publish("Key frames up to the peak that lie before the arrival of contrast", HEAD, rows, given.out)


def trace_lesions(run: Path, count: int, processing: Processing) -> list[tuple[TracedExam, Truth]]:
    """Up to `count` lesions of a run, evenly chosen, and their truth."""
    rows = [(site, row) for site in map(load_site, list_site_folders(run)) for row in read_manifest(site).rows]
    if not rows:
        raise ExpectedError(f"expected phantom hospitals in {run}, found none; write them with ceus-sim hospital")
    chosen = [rows[place] for place in dict.fromkeys(spread_evenly(min(count, len(rows)), len(rows)).tolist())]
    truths = {site.folder.name: read_truth(run / TRUTH, site.folder.name) for site, _ in chosen}
    return [(trace_row(row, site, processing), truths[site.folder.name][row.lesion_id][1]) for site, row in chosen]


def measure_start(traced: TracedExam, truth: Truth, processing: Processing) -> tuple[float, float, float, float]:
    """Key frames up to the peak before the lesion's and before the first arrival; first flow map, px; whether still."""
    trace = traced.trace
    seconds = trace.seconds[trace.chosen[: processing.frames_to_peak]]
    arrivals = [find_arrival_s(curve, truth.seconds) for curve in (truth.lesion_tic, truth.parenchyma_tic)]
    flow = float(np.hypot(*trace.flow[0]).mean())
    early = [float((seconds < arrival).sum()) for arrival in (arrivals[0], min(arrivals))]
    return early[0], early[1], flow, float(flow < _STILL_PX)


def find_arrival_s(curve: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64]) -> float:
    """When a curve without noise has risen to 5 % of its highest value."""
    return float(seconds[np.argmax(curve >= _SHARE * curve.max())])


if __name__ == "__main__":
    main()
