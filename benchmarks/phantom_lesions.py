"""The lesions of a simulated study as samples, with the true parameters of each, kept in a folder.

Panes are rendered and analysed in memory, by the code of hospital and client but for the files between them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import ROOT
from ceus_models.plan.plan import Plan
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL
from client.data.analysis.exam import join_clips
from client.data.analysis.optical_flow import compute_flow_maps
from client.data.analysis.trace import trace_exam
from client.data.dataset.worker_pool import map_trusted
from client.data.imaging.clip import Clip
from client.data.imaging.frame_store import FrameFile, Frames
from sim.hospital.outlining import draw_manual_outline
from sim.hospital.prepare import Simulation, draw_center_cases, parse_simulation
from sim.hospital.screens import MAKERS
from sim.patients.patients import Case
from sim.patients.study_table import LESIONS
from sim.phantom.draw import U8, Film, LesionDraw, draw_lesion
from sim.phantom.kinetics import compute_washout_onset_s
from sim.phantom.render import render

Floats = npt.NDArray[np.float64]
SOURCES = ("sim/phantom", "sim/patients", "client/data/analysis")
_CHUNK = 40
Made = tuple[Sample, dict[str, float], str]
"""A lesion's sample, true parameters and subtype."""


@dataclass(frozen=True, eq=False)
class Lesions:
    """Samples (n), and what is true of each: parameters (n p) with their names, and subtypes (n)."""

    samples: Sequence[Sample]
    truth: Floats
    names: Sequence[str]
    subtypes: Sequence[str]

    def where(self, *cohorts: str) -> npt.NDArray[np.int64]:
        """Places of the lesions of some cohorts."""
        return np.flatnonzero([sample.cohort in cohorts for sample in self.samples])


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some lesions, as map_trusted takes them."""

    plan: Plan
    simulation: Simulation
    cases: Sequence[Case]
    seed: int

    def make(self) -> list[Made]:
        return [make_lesion(case, self.plan, self.simulation, self.seed) for case in self.cases]


def scale_lesions(plan: Plan, share: float, seed: int, hertz: float | None = None) -> Simulation:
    """The plan's simulation with a share of the study's own number of lesions, at `hertz` where that is given."""
    simulation = parse_simulation(plan.simulation)
    phantom = simulation.phantom if hertz is None else replace(simulation.phantom, frame_rate_hz=hertz)
    counts = {cohort: round(count * share) for cohort, count in LESIONS.items()}
    wanted: Mapping[str, int] | Literal["paper"] = "paper" if share == 1 else counts
    return replace(simulation, lesions=wanted, phantom=phantom, seed=seed, excluded=0)


def load_lesions(plan: Plan, simulation: Simulation, folder: Path, workers: int) -> Lesions:
    """All lesions, in the order of the study; rendered anew where settings or the phantom's source have changed."""
    kept = folder / f"{_digest(plan, simulation)}.npz"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _keep(kept, list(_render_all(plan, simulation, workers)))
    return _read(kept)


def _digest(plan: Plan, simulation: Simulation) -> str:
    total = hashlib.sha256(json.dumps([plan.processing.digest(), repr(simulation)]).encode())
    for path in sorted(path for source in SOURCES for path in (ROOT / source).glob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _render_all(plan: Plan, simulation: Simulation, workers: int) -> Iterator[Made]:
    seed = simulation.seed or 0
    cases = [case for held in draw_center_cases(simulation, seed).values() for case in held]
    parts = [cases[start : start + _CHUNK] for start in range(0, len(cases), _CHUNK)]
    chunks = [_Chunk(plan, simulation, part, seed) for part in parts]
    places = {id(chunk): place for place, chunk in enumerate(chunks)}
    made = {places[id(chunk)]: done for chunk, done in map_trusted(_Chunk.make, chunks, workers)}
    for place in sorted(made):
        yield from made[place]


def make_lesion(case: Case, plan: Plan, simulation: Simulation, seed: int) -> Made:
    """One lesion's sample, true parameters and subtype."""
    drawn = draw_lesion(case, simulation.phantom, MAKERS[case.manufacturer].machine, False, seed)
    films, truth = render(drawn, simulation.phantom)
    rng = np.random.default_rng(derive_seed(seed, "outline", case.center, case.lesion_id))
    polygon = draw_manual_outline(drawn.plane.outline, truth.shift_px[truth.reference], rng)
    exam = join_clips([_make_clip(film, drawn) for film in films], truth.reference)
    found = trace_exam(exam, np.clip(polygon, 0, [drawn.plane.width - 1, drawn.plane.height - 1]), plan.processing)
    flow, scale = compute_flow_maps(found.frames, plan.processing)
    curve = found.trace.smoothed[found.trace.chosen] / max(float(found.trace.smoothed.max()), 1e-9)
    place = f"{case.center}|"
    sample = Sample(
        key=place + case.lesion_id,
        patient=place + case.patient_id,
        cohort=case.cohort,
        frames=found.frames,
        flow=flow,
        flow_scale=scale,
        curve=curve.astype(np.float32),
        clinical=_transform(case),
        biomarkers=np.array([_or_nan(case.biomarkers[name]) for name in BIOMARKERS], dtype=np.float32),
        label=case.fll_type,
    )
    return sample, list_parameters(drawn, case), case.subtype


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _transform(case: Case) -> npt.NDArray[np.float32]:
    given = [(variable, case.clinical[variable.name]) for variable in CLINICAL]
    return np.array([np.nan if v is None else variable.apply_transform(v) for variable, v in given], dtype=np.float32)


def _make_clip(film: Film, drawn: LesionDraw) -> Clip:
    height, width = drawn.plane.height, drawn.plane.width
    box = (0, 0, width, height)
    contrast, bmode = _store(film.contrast), _store(film.bmode)
    return Clip(contrast, bmode, film.seconds, drawn.plane.mm_per_px, box, box, height, width, drawn.dynamic_range_db)


def _store(pane: U8) -> Frames:
    file = FrameFile(pane.shape[1], pane.shape[2], None)
    for frame in pane:
        file.add(frame)
    return file.to_frames()


def list_parameters(drawn: LesionDraw, case: Case) -> dict[str, float]:
    """What a perfect eye could read of a lesion's video: name → number."""
    pattern = asdict(drawn.pattern)
    kind = pattern.pop("kind")
    washout_s = min(compute_washout_onset_s(drawn.liver, drawn.kinetics), 300.0)
    flat: dict[str, float] = {"size_cm": case.size_cm, "washout_s": washout_s}
    for part in (asdict(drawn.kinetics), pattern, asdict(drawn.echo)):
        flat |= {name: float(value) for name, value in part.items()}
    return flat | {f"kind {kind}": 1.0, "waves": float(np.abs(drawn.plane.outline.amplitudes).sum())}


def _keep(path: Path, made: Sequence[Made]) -> None:
    samples = [sample for sample, _, _ in made]
    names = sorted({name for _, truth, _ in made for name in truth})
    stacked = {name: np.stack([getattr(s, name) for s in samples]) for name in _ARRAYS}
    texts = {name: np.array([getattr(s, name) for s in samples]) for name in _TEXTS}
    truth = np.array([[values.get(name, 0.0) for name in names] for _, values, _ in made])
    with path.with_suffix(".part").open("wb") as file:
        held = {"truth": truth, "names": np.array(names), "subtypes": np.array([subtype for _, _, subtype in made])}
        np.savez(file, allow_pickle=False, **held, **stacked, **texts)
    path.with_suffix(".part").rename(path)


_ARRAYS = ("frames", "flow", "flow_scale", "curve", "clinical", "biomarkers")
_TEXTS = ("key", "patient", "cohort", "label")


def _read(path: Path) -> Lesions:
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    make = partial(_make_sample, held)
    return Lesions(
        [make(i) for i in range(len(held["key"]))], held["truth"], held["names"].tolist(), held["subtypes"].tolist()
    )


def _make_sample(held: Mapping[str, npt.NDArray[np.generic]], i: int) -> Sample:
    numbers = {name: held[name][i] for name in _ARRAYS if name != "flow_scale"}
    texts = {name: str(held[name][i]) for name in _TEXTS}
    return Sample(**numbers, **texts, flow_scale=float(held["flow_scale"][i]))  # type: ignore[arg-type]
