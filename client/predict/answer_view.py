"""What a reader is shown of an answer, as text and shares: derived once, laid out by the page and by the sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES, TYPE_WORDS
from client.data.analysis.trace import Trace
from client.predict.as_json import made_by
from client.predict.cautions import Caution
from client.predict.pictures import Strip, draw_pictures
from client.predict.prediction import NetAnswer, Prediction

_CURVE: Mapping[str, tuple[str, str]] = {
    "t0": ("arrival", "s"),
    "peak_s": ("peak", "s"),
    "PE_dB": ("peak enhancement", "dB"),
    "TTP": ("time to peak", "s"),
    "RT": ("rise time", "s"),
    "mTT": ("mean transit time", "s"),
    "FT": ("fall time", "s"),
}
"""Parameters of the curve that are in units, not arbitrary ones: these are shown."""


@dataclass(frozen=True)
class TypeRow:
    """A lesion type.

    Attributes:
        share: Its probability, 0-1.
        text: The same in per cent.
    """

    name: str
    words: str
    share: float
    text: str


@dataclass(frozen=True)
class NetRow:
    """A net.

    Attributes:
        yes: Whether the net says yes.
        share, threshold: Probabilities.
        text: The share in per cent.
        frames, flow: Probability of each branch.
        weights: Weights of frames and flow.
    """

    name: str
    yes: bool
    share: float
    threshold: float
    text: str
    frames: str
    flow: str
    weights: str


@dataclass(frozen=True)
class PartRow:
    """What the model was given.

    Attributes:
        value: Value of a clinical variable, else "".
        share: Added to the answer's probability.
        text: The same in points.
    """

    name: str
    value: str
    share: float
    text: str


@dataclass(frozen=True, eq=False)
class AnswerView:
    """Rows stand in the order in which they are read. It names no patient, no date, no path.

    Attributes:
        explanation: Why OT is named or not, "" where nothing is to be said.
        cautions: The worst first.
    """

    notice: str
    lesion: str
    headline: str
    explanation: str
    cautions: tuple[Caution, ...]
    types_heading: str
    types: tuple[TypeRow, ...]
    nets: tuple[NetRow, ...]
    parts_heading: str
    parts: tuple[PartRow, ...]
    curve_heading: str
    curve_parameters: str
    trace: Trace
    strips: tuple[Strip, ...]
    made_by: str


def view_answer(prediction: Prediction, bundle: Bundle) -> AnswerView:
    """Derive everything that is shown."""
    answer, trace = prediction.answer, prediction.lesion.trace
    probabilities = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return AnswerView(
        notice=RESEARCH,
        lesion=prediction.lesion.sample.key,
        headline=f"{answer} ({TYPE_WORDS[answer]}), probability {percent(prediction.probabilities[answer])}",
        explanation=explain_other(prediction),
        cautions=prediction.cautions,
        types_heading=f"Probabilities of the six types ({prediction.model})",
        types=tuple(TypeRow(name, TYPE_WORDS[name], share, percent(share)) for name, share in probabilities),
        nets=tuple(_net_row(net) for net in prediction.nets),
        parts_heading=_parts_heading(prediction),
        parts=_list_parts(prediction),
        curve_heading=f"Time-intensity curve, {len(trace.chosen)} key frames",
        curve_parameters=_curve_parameters(trace),
        trace=trace,
        strips=draw_pictures(prediction),
        made_by=_made_by(bundle),
    )


def explain_other(prediction: Prediction) -> str:
    """What the five disease nets mean for OT, "" where nothing is to be said."""
    if prediction.other_since_low:
        return "Called OT, other: each of the five disease nets is below its threshold."
    if prediction.all_low:
        return f"Each of the five disease nets is below its threshold, and yet {prediction.answer} is most probable."
    if prediction.answer == "OT":
        return "Called OT, other, although a disease net says yes."
    return ""


def percent(share: float) -> str:
    """A probability as a reader takes it in."""
    return f"{100 * share:.1f} %"


def _net_row(net: NetAnswer) -> NetRow:
    weight = 100 * net.spatial_weight
    return NetRow(
        name=net.net.partition("/")[2],
        yes=net.yes,
        share=net.probability,
        threshold=net.threshold,
        text=percent(net.probability),
        frames=f"{100 * net.spatial:.0f} %",
        flow=f"{100 * net.temporal:.0f} %",
        weights=f"{weight:.0f} : {100 - weight:.0f}",
    )


def _parts_heading(prediction: Prediction) -> str:
    """How far the answer's probability moved."""
    place = LESION_TYPES.index(prediction.answer)
    parts = prediction.contributions
    return (
        f"What moved the probability of {prediction.answer} from {percent(parts.background[place])} "
        f"(training means, undecided nets) to {percent(parts.answer[place])}"
    )


def _list_parts(prediction: Prediction) -> tuple[PartRow, ...]:
    """The largest first."""
    place = LESION_TYPES.index(prediction.answer)
    values = _format_clinical(prediction)
    added = {part: float(shares[place]) for part, shares in prediction.contributions.by_part.items()}
    return tuple(
        PartRow(part.replace("_", " "), values.get(part, ""), share, _points(share))
        for part, share in sorted(added.items(), key=lambda item: -abs(item[1]))
    )


def _format_clinical(prediction: Prediction) -> dict[str, str]:
    """Every clinical variable with its unit."""
    found = {}
    for variable, value in zip(CLINICAL, prediction.clinical.values(), strict=True):
        if value is None:
            found[variable.name] = "not recorded"
        elif variable.name == "sex":
            found[variable.name] = "male" if value else "female"
        elif variable.kind == "binary":
            found[variable.name] = "yes" if value else "no"
        else:
            found[variable.name] = f"{value:.4g} {variable.unit}"
    return found


def _points(share: float) -> str:
    """A difference of probabilities, signed unless it is nothing."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _curve_parameters(trace: Trace) -> str:
    found = trace.parameters
    return " · ".join(f"{words} {found[name]:.1f} {unit}" for name, (words, unit) in _CURVE.items() if name in found)


def _made_by(bundle: Bundle) -> str:
    facts = made_by(bundle)
    return (
        f"fedceus {facts['fedceus']} · plan {facts['plan']} ({facts['plan_digest'][:16]}) · bundle "
        f"{facts['bundle'][:16]} · processing {facts['processing'][:16]}"
    )
