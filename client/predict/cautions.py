"""What a reader of an answer must mind: a doubtful track, unusual pictures, values that are not there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.metrics.ood import FAR, UnusualFigure, find_unusual_figures
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL_NAMES
from client.data.analysis.trace import Trace

Kind = Literal["clip", "track", "distribution", "intensity", "figure", "clinical", "bundle"]


@dataclass(frozen=True)
class Caution:
    """serious: the answer may be worthless; else it is to be read with care."""

    kind: Kind
    text: str
    serious: bool


def list_cautions(
    sample: Sample, trace: Trace, bundle: Bundle, checked: bool, clip_checked: bool = False
) -> list[Caution]:
    """The worst first. checked, clip_checked: a person has found the track, or the clips, right."""
    found = [
        *_check_clips(trace, clip_checked),
        *_check_track(trace, checked),
        *_check_pictures(sample, bundle),
        *_check_values(sample, bundle),
        *_check_bundle(bundle),
    ]
    return sorted(found, key=lambda caution: not caution.serious)


def _check_clips(trace: Trace, checked: bool) -> Iterator[Caution]:
    for doubt in trace.clip_doubts:
        if checked:
            yield Caution("clip", f"clip: {doubt}; a person has looked at it and found it right", False)
        else:
            yield Caution("clip", f"clip not to be trusted: {doubt}", True)
    for shown in trace.shown:
        yield Caution("clip", f"clip: {shown}", False)


def _check_track(trace: Trace, checked: bool) -> Iterator[Caution]:
    for doubt in trace.doubts:
        if checked:
            yield Caution("track", f"track: {doubt}; a person has looked at it and found it right", False)
        else:
            yield Caution("track", f"track not to be trusted: {doubt}; see whether the outline stays on it", True)


def _check_pictures(sample: Sample, bundle: Bundle) -> Iterator[Caution]:
    if not sample.quality.get("enhances", 1.0):
        yield Caution("intensity", "the curve does not rise: no enhancement was found", True)
    if bundle.typical is None:
        text = "the bundle holds no training statistics: whether this lesion is like those of training is not known"
        yield Caution("bundle", text, True)
        return
    far = find_unusual_figures(sample, bundle.typical)
    if out := [one for one in far if one.is_out]:
        text = f"out of distribution, unlike the training lesions: {', '.join(map(str, out))}"
        yield Caution("distribution", text, True)
    for one in far:
        if not one.is_out:
            yield Caution(_kind(one), f"unusual: {one} the training lesions", False)


def _kind(one: UnusualFigure) -> Kind:
    return "intensity" if one.figure.startswith(("level", "PE")) else "figure"


def _check_values(sample: Sample, bundle: Bundle) -> Iterator[Caution]:
    """Of the clinical variables that the model sees."""
    missing = []
    normaliser = bundle.recipe.normaliser
    for name in bundle.recipe.selected:
        place = CLINICAL_NAMES.index(name)
        value = float(sample.clinical[place])
        z = (value - normaliser.clinical_mean[place]) / normaliser.clinical_sd[place]
        if math.isnan(value):
            missing.append(name)
        elif abs(z) > FAR:
            where = "above" if z > 0 else "below"
            text = f"unusual: {name} {abs(z):.1f} SD {where} the training lesions"
            yield Caution("clinical", text, False)
    if missing:
        text = f"not recorded: {', '.join(missing)}; the model takes the training mean and knows that it does"
        yield Caution("clinical", text, False)


def _check_bundle(bundle: Bundle) -> Iterator[Caution]:
    if bundle.study.get("results", {}).get("simulated"):
        yield Caution("bundle", "the model was trained on phantoms: it knows no real lesion", True)
    if bundle.recipe.architecture.norm == "batch_local":
        text = "the nets keep statistics of their site, and took those of this lesion alone"
        yield Caution("bundle", text, True)
