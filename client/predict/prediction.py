"""What the model says of one lesion, and why: asked along the very path that training and the evaluation walked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.nets.fusion import fusion_inputs
from ceus_models.nets.gradcam import Cam, grad_cam
from ceus_models.nets.predict import Answers
from ceus_models.nets.shapley import Contributions, contributions
from ceus_models.nets.two_stream import TwoStream
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, DISEASE_NETS, DISEASE_TYPES, FUSION_NETS, LESION_TYPES, SUBMODELS
from client.data.analysis.trace import Trace
from client.predict.cautions import Caution, cautions

OTHER = "OT"


@dataclass(frozen=True)
class NetAnswer:
    """One binary net.

    Attributes:
        probability: Probability of yes.
        spatial, temporal: Probability of each branch.
        spatial_weight: The share of the spatial branch, the rest is the temporal one's.
        threshold: Probability from which the answer is yes.
    """

    net: str
    probability: float
    spatial: float
    temporal: float
    spatial_weight: float
    threshold: float

    @property
    def yes(self) -> bool:
        """Whether it says yes."""
        return self.probability >= self.threshold


@dataclass(frozen=True, eq=False)
class Lesion:
    """A lesion as the model receives it.

    Attributes:
        row: Row of the table.
        sample, trace: Results of the pipeline.
        checked: Whether a person has confirmed the track.
    """

    row: int
    sample: Sample
    trace: Trace
    checked: bool = False


@dataclass(frozen=True, eq=False)
class Prediction:
    """The model's answer for one lesion.

    Attributes:
        model: The fusion net.
        probabilities: By type, summing to 1.
        nets: In the order of SUBMODELS.
        looked: The disease net whose Grad-CAM (Selvaraju 2017) is shown.
        spatial, temporal: Its maps.
        cautions: Cautions for the reader, the worst first.
    """

    lesion: Lesion
    model: str
    probabilities: Mapping[str, float]
    nets: tuple[NetAnswer, ...]
    contributions: Contributions
    looked: str
    spatial: Cam
    temporal: Cam
    cautions: tuple[Caution, ...]

    @property
    def answer(self) -> str:
        """The most probable type."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def clinical(self) -> dict[str, float | None]:
        """Every clinical variable in its own unit, None where it was not recorded."""
        values = zip(CLINICAL, self.lesion.sample.clinical.tolist(), strict=True)
        return {variable.name: None if math.isnan(value) else variable.restored(value) for variable, value in values}

    @property
    def all_low(self) -> bool:
        """Whether every one of the five disease nets says no."""
        return not any(net.yes for net in self.nets if net.net in DISEASE_NETS)

    @property
    def other_since_low(self) -> bool:
        """Whether it is called OT while all five disease nets say no, which is what OT was learnt from."""
        return self.answer == OTHER and self.all_low


def predict(lesion: Lesion, bundle: Bundle) -> Prediction:
    """Raises ExpectedError for a bundle without fusion net, or without one of the nine nets below it."""
    samples = [lesion.sample]
    model = _model(bundle)
    asked: list[Answers] = [bundle.ask(net, samples) for net in SUBMODELS]
    table = np.concatenate([said.final for said in asked], axis=1).astype(np.float32)  # (1 9), as a site keeps it
    probabilities = bundle.fuse(model, table, samples)[0]
    features = fusion_inputs(model, table, samples, bundle.recipe).to(bundle.device)
    parts = contributions(model, bundle.fusion(model), features, bundle.recipe)
    by_type = dict(zip(LESION_TYPES, probabilities.tolist(), strict=True))
    nets = tuple(_net_answer(net, said, bundle) for net, said in zip(SUBMODELS, asked, strict=True))
    looked = _looked(by_type, nets)
    spatial, temporal = _maps(looked, samples, bundle)
    found = tuple(cautions(lesion.sample, lesion.trace, bundle, lesion.checked))
    return Prediction(lesion, model, by_type, nets, parts, looked, spatial, temporal, found)


def _model(bundle: Bundle) -> str:
    """The fusion net that sees most."""
    known = [net for net in FUSION_NETS if net in bundle.nets]
    if not known:
        raise ExpectedError(
            "the bundle needs a fusion net to name a type; found none; use the bundle of a finished study"
        )
    return known[-1]


def _net_answer(net: str, said: Answers, bundle: Bundle) -> NetAnswer:
    final, spatial, temporal, weight = (float(values.reshape(-1)[0]) for values in said)
    return NetAnswer(net, final, spatial, temporal, weight, bundle.thresholds[net])


def _looked(by_type: Mapping[str, float], nets: Sequence[NetAnswer]) -> str:
    """The net of the type that is named; of OT, which has none, the disease net that is nearest to a yes."""
    answer = max(by_type, key=by_type.__getitem__)
    if answer in DISEASE_TYPES:
        return DISEASE_NETS[DISEASE_TYPES.index(answer)]
    return max((net for net in nets if net.net in DISEASE_NETS), key=lambda net: net.probability).net


def _maps(net: str, samples: Sequence[Sample], bundle: Bundle) -> tuple[Cam, Cam]:
    module = bundle.module(net, samples).module
    if not isinstance(module, TwoStream):
        raise TypeError(f"{net} is no two-stream net")
    return grad_cam(module, samples[0], bundle.recipe.normaliser)
