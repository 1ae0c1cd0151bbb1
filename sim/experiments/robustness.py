"""Accuracy under changed outlines: the whole path from clip to prediction is repeated for each outline."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ceus_models.bundle.model_bundle import Bundle, load_bundle
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.sample import Sample
from client.data.analysis.pipeline import OpenedLesion, open_row, sample_from_clips, trace_outline
from client.data.analysis.track_quality import UntrustedTrack
from client.data.dataset.worker_pool import map_trusted
from client.data.forms.site_config import SiteConfig, load_site, make_pseudonym
from client.data.imaging.clip import ClipError
from client.data.imaging.recording import F64
from client.data.outlines.outline import MIN_AREA_PX
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from server.report.publish import BUNDLE
from server.results.evaluation import class_names
from server.results.intervals import INTERVAL
from sim.experiments.entry import Cell, Entry, describe_stable_claim
from sim.experiments.experiment_file import Change, Outline
from sim.experiments.lesions import FinishedRun, list_targets, load_groups, majority_accuracy
from sim.hospital.prepare import HOSPITALS

BATCH = 16
UNREAD = -1
"""The class of an outline that is too small, or whose track a person must check first."""
ShowCount = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class OutlineChange:
    """A change of an outline: scale about the centroid, and shift right and down in units of its size.

    The size is the diameter of the circle of the same area.
    """

    scale: float
    shift: tuple[float, float]


def draw_change(change: Change, amount: float, seed: int) -> OutlineChange:
    """Draw a uniform change: expand scales by 1 to 1 + amount, shrink by 1 - amount to 1, move shifts by up to `amount`
    of the size in any direction, combined does both, scaling by 1 - amount to 1 + amount.
    """
    generator = np.random.default_rng(seed)
    step, angle = amount * generator.random(), generator.uniform(0, 2 * math.pi)
    far = amount * generator.random() if change in ("move", "combined") else 0.0
    scale = {"expand": 1 + step, "shrink": 1 - step, "move": 1.0, "combined": 1 + generator.choice((-1, 1)) * step}
    return OutlineChange(float(scale[change]), (far * math.cos(angle), far * math.sin(angle)))


def change_outline(polygon: F64, drawn: OutlineChange, rows: int, columns: int) -> F64:
    """The changed polygon (n 2), clipped to a pane of `rows` x `columns` px."""
    centre = _centroid(polygon)
    size = 2 * math.sqrt(area(polygon) / math.pi)
    points = centre + (polygon - centre) * drawn.scale + np.array(drawn.shift) * size
    return np.asarray(np.clip(points, 0.0, (columns - 1.0, rows - 1.0)), dtype=np.float64)


def area(polygon: F64) -> float:
    """Area of a polygon (n 2) in px²."""
    return float(cv2.contourArea(polygon.astype(np.float32)))


@dataclass(frozen=True)
class LesionJob:
    """The predictions of one lesion under all outlines, for a worker process; cached in `kept`. Picklable."""

    run: Path
    site: str
    key: str
    target: int
    seed: int
    experiment: Outline
    kept: Path

    def classes(self) -> dict[str, Any]:
        """{"target", "original": class, change: [class or UNREAD of each repeat]}, from the cache if it is there."""
        if not self.kept.exists():
            torch.set_num_threads(1)
            write_atomically(self.kept, json.dumps(self._predict_all()).encode(), PUBLIC)
        found: dict[str, Any] = json.loads(self.kept.read_text(encoding="utf-8"))
        return found

    def _predict_all(self) -> dict[str, Any]:
        site = load_site(self.run / HOSPITALS / self.site)
        row = next(row for row in read_manifest(site).rows if make_pseudonym(site, "lesion", row.lesion_id) == self.key)
        clips = open_row(row, site)
        outlines = [clips.polygon, *self._draw_outlines(clips)]
        classes = [one for batch in _iterate_batches(outlines) for one in self._predict_batch(batch, clips, row, site)]
        repeats = self.experiment.repeats
        runs = {str(c): classes[1 + i * repeats :][:repeats] for i, c in enumerate(self.experiment.changes)}
        return {"target": self.target, "original": classes[0], **runs}

    def _draw_outlines(self, clips: OpenedLesion) -> Iterator[F64]:
        rows, columns = clips.clips[0].contrast.shape[1:]
        for change in self.experiment.changes:
            for repeat in range(self.experiment.repeats):
                seed = derive_seed(self.seed, "outline", self.key, change, repeat)
                yield change_outline(clips.polygon, draw_change(change, self.experiment.amount, seed), rows, columns)

    def _predict_batch(self, outlines: Sequence[F64], clips: OpenedLesion, row: Row, site: SiteConfig) -> list[int]:
        """The predicted class under each outline; the clips are decoded only once."""
        bundle = _load_bundle_once(self.run / BUNDLE)
        samples: dict[int, Sample] = {}
        for index, polygon in enumerate(outlines):
            if area(polygon) < MIN_AREA_PX:
                continue
            try:
                found = trace_outline(clips, polygon, row, bundle.processing)
                samples[index], _ = sample_from_clips(found, row, site, bundle.processing)
            except (ClipError, UntrustedTrack):
                continue
        classes = np.full(len(outlines), UNREAD)
        if samples:
            classes[list(samples)] = bundle.predict(list(samples.values()), self.experiment.net).argmax(1)
        plain: list[int] = classes.tolist()
        return plain


@lru_cache(maxsize=1)
def _load_bundle_once(folder: Path) -> Bundle:
    """Load the bundle once a process."""
    return load_bundle(folder)


def run_robustness(experiment: Outline, run: FinishedRun, folder: Path, workers: int, counted: ShowCount) -> Entry:
    """Run the experiment; predictions are cached in `folder`, `counted` shows the progress."""
    chosen = select_lesions(experiment, run, folder)
    found = {}
    with counted("lesions under changed outlines") as tell:
        for lesion, classes in map_trusted(LesionJob.classes, chosen, workers):
            found[lesion.kept] = classes
            tell(len(found), len(chosen))
    return build_entry(experiment, [found[lesion.kept] for lesion in chosen])


def select_lesions(experiment: Outline, run: FinishedRun, folder: Path) -> list[LesionJob]:
    """Draw the seeded sample of labelled lesions, as jobs."""
    groups = load_groups(run.folder, run.bundle.processing, experiment.cohorts)
    places = [(group.site, sample.key) for group in groups for sample in group.samples]
    target = list_targets(groups, experiment.net).tolist()
    known = [(site, key, t) for (site, key), t in zip(places, target, strict=True) if t >= 0]
    drawn = sorted(known, key=lambda lesion: derive_seed(run.seed, "outline", lesion[0], lesion[1]))
    settings = {**asdict(experiment), "title": "", "claim": None, "lesions": 0, "cohorts": ()}
    about = json.dumps([settings, run.seed, run.bundle.plan, run.bundle.fingerprint])
    digest = hashlib.sha256(about.encode()).hexdigest()[:12]
    return [
        LesionJob(run.folder, site, key, t, run.seed, experiment, folder / digest / f"{site}-{key}.json")
        for site, key, t in drawn[: experiment.lesions or len(drawn)]
    ]


def build_entry(experiment: Outline, found: Sequence[Mapping[str, Any]]) -> Entry:
    """Accuracy under each change, beside that under the original outlines."""
    target = np.array([one["target"] for one in found])
    original = np.array([one["original"] for one in found])
    base, lesions = float((original == target).mean()), len(found)
    aside = _compute_share(original == UNREAD)
    rows: list[list[Cell]] = [["original", lesions, 1, round(base, 4), None, None, 0.0, 1.0, aside]]
    points: list[dict[str, Any]] = []
    for change in experiment.changes:
        classes = np.array([one[change] for one in found])  # (lesions repeats)
        accuracy = _compute_accuracies(classes, target)
        mean, low, high = (round(float(x), 4) for x in (accuracy.mean(), *np.percentile(accuracy, INTERVAL)))
        read = classes != UNREAD
        kept = _compute_share((classes == original[:, None])[read])
        rows.append(
            [change, lesions, experiment.repeats, mean, low, high, round(mean - base, 4), kept, _compute_share(~read)]
        )
        points.append({"label": change, "value": mean, "low": low, "high": high, "samples": accuracy.round(4).tolist()})
    return Entry(
        title=experiment.title,
        columns=["outline", "lesions", "repeats", "accuracy", "low", "high", "change", "same class", "set aside"],
        rows=rows,
        figure={
            "kind": "intervals",
            "xlabel": f"accuracy on {lesions} lesions, {experiment.repeats} repeats: mean, middle 95 %, each repeat",
            "points": points,
            "line": {"value": round(base, 4), "label": "original outline"},
        },
        finding=describe_finding((base, majority_accuracy(target)), points, experiment),
        details={"amount": experiment.amount, "classes": list(class_names(experiment.net)), "answers": list(found)},
    )


def describe_finding(known: tuple[float, float], points: Sequence[Mapping[str, Any]], experiment: Outline) -> str:
    """The finding as text: whether the original accuracy is within the middle 95 % of the repeats of each change.

    `known` are the original accuracy and that of the majority type.
    """
    base, guess = known
    out = [str(p["label"]) for p in points if not p["low"] <= base <= p["high"]]
    worst = min(points, key=lambda point: float(point["value"]))
    text = (
        f"Outlines changed by up to {experiment.amount:.0%}: mean accuracy at least {worst['value']:.3f} "
        f"({worst['label']}), {base:.3f} under the original ones; that lies "
    )
    text += (
        f"outside the middle 95 % of the repeats for {', '.join(out)}." if out else "within the middle 95 % for all."
    )
    return f"{text} {describe_stable_claim(experiment.claim, not out, base > guess)}".strip()


def _compute_accuracies(classes: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Accuracy (repeats) over the lesions that could be read in each repeat."""
    read = (classes != UNREAD).sum(0)
    return np.asarray((classes == target[:, None]).sum(0) / np.maximum(read, 1), dtype=np.float64)


def _compute_share(values: npt.NDArray[np.bool_]) -> float:
    return round(float(values.mean()), 4) if values.size else 0.0


def _iterate_batches(outlines: Sequence[F64]) -> Iterator[Sequence[F64]]:
    return (outlines[start : start + BATCH] for start in range(0, len(outlines), BATCH))


def _centroid(polygon: F64) -> F64:
    moments = cv2.moments(polygon.astype(np.float32))
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"]
