"""What the HTML page and the PDF sheet of an answer say alike: headings, sentences, and numbers as text."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.nets.gradcam import Cam
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES, TYPE_WORDS
from client.predict.as_json import made_by
from client.predict.pictures import SCALE, Pictures
from client.predict.prediction import Prediction

_CURVE: Mapping[str, tuple[str, str]] = {
    "t0": ("arrival", "s"),
    "peak_s": ("peak", "s"),
    "PE_dB": ("peak enhancement", "dB"),
    "TTP": ("time to peak", "s"),
    "RT": ("rise time", "s"),
    "mTT": ("mean transit time", "s"),
    "FT": ("fall time", "s"),
}
"""Parameters of the curve that are in units, not arbitrary ones: the page shows these."""


def headline(prediction: Prediction) -> str:
    """The answer as one line."""
    answer = prediction.answer
    return f"{answer} ({TYPE_WORDS[answer]}), probability {percent(prediction.probabilities[answer])}"


def why_other(prediction: Prediction) -> str:
    """What the five disease nets mean for OT, "" where nothing is to be said."""
    if prediction.other_since_low:
        return "Called OT, other: each of the five disease nets is below its threshold."
    if prediction.all_low:
        return f"Each of the five disease nets is below its threshold, and yet {prediction.answer} is most probable."
    if prediction.answer == "OT":
        return "Called OT, other, although a disease net says yes."
    return ""


def contribution_heading(prediction: Prediction) -> str:
    """How far the answer's probability moved."""
    place = LESION_TYPES.index(prediction.answer)
    parts = prediction.contributions
    return (
        f"What moved the probability of {prediction.answer} from {percent(parts.background[place])} "
        f"(training means, undecided nets) to {percent(parts.answer[place])}"
    )


def contribution_rows(prediction: Prediction) -> list[tuple[str, str, float]]:
    """(part, its value, what it added to the answer's probability), the largest first."""
    place = LESION_TYPES.index(prediction.answer)
    values = clinical_values(prediction)
    parts = prediction.contributions.by_part
    rows = [(part.replace("_", " "), values.get(part, ""), float(added[place])) for part, added in parts.items()]
    return sorted(rows, key=lambda row: -abs(row[2]))


def clinical_values(prediction: Prediction) -> dict[str, str]:
    """Every clinical variable with its unit."""
    found = {}
    for variable, value in zip(CLINICAL, prediction.lesion.sample.clinical.tolist(), strict=True):
        if math.isnan(value):
            found[variable.name] = "not recorded"
        elif variable.name == "sex":
            found[variable.name] = "male" if value else "female"
        elif variable.kind == "binary":
            found[variable.name] = "yes" if value else "no"
        else:
            found[variable.name] = f"{variable.restored(value):.4g} {variable.unit}"
    return found


def curve_parameters(prediction: Prediction) -> str:
    """Those in units, as one line."""
    found = prediction.lesion.trace.parameters
    shown = [f"{words} {found[name]:.1f} {unit}" for name, (words, unit) in _CURVE.items() if name in found]
    return " · ".join(shown)


def captions(prediction: Prediction, pictures: Pictures) -> dict[str, str]:
    """By the names of the strips in `Pictures`."""
    looked = prediction.looked
    frames, flow = _cells(prediction.spatial), _cells(prediction.temporal)
    name = looked.partition("/")[2]
    return {
        "frames": "Key frames with the outline (orange)",
        "frames_cam": f"Grad-CAM on the key frames: where the {name} net found what speaks for {name} ({frames})",
        "flow": f"Flow between key frames: hue is the direction (wheel), full colour {pictures.bound_px:.1f} px",
        "flow_cam": f"Grad-CAM on the flow maps, over the length of the flow in grey ({flow})",
        "scale": f"colour scale {SCALE}: from nothing (dark blue) to the strip's largest value (yellow)",
    }


def curve_heading(prediction: Prediction) -> str:
    """Of the curve."""
    return f"Time-intensity curve, {len(prediction.lesion.trace.chosen)} key frames"


def footing(bundle: Bundle) -> str:
    """What the answer was made by."""
    facts = made_by(bundle)
    return (
        f"fedceus {facts['fedceus']} · plan {facts['plan']} ({facts['plan_digest'][:16]}) · bundle "
        f"{facts['bundle'][:16]} · processing {facts['processing'][:16]}"
    )


def percent(share: float) -> str:
    """A probability as a reader takes it in."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of probabilities, signed unless it is nothing."""
    told = f"{100 * share:+.1f}"
    return "0.0" if told in ("+0.0", "-0.0") else told


def _cells(cam: Cam) -> str:
    rows, columns = cam.maps.shape[1:]
    return f"{rows} x {columns} cells of {cam.layer}"
