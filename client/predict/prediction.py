"""What the model says of one lesion, and why: asked along the very path that training and the evaluation walked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.nets.fusion import build_fusion_inputs
from ceus_models.nets.gradcam import Cam, grad_cam
from ceus_models.nets.heads import locate_output
from ceus_models.nets.predict import BranchPredictions
from ceus_models.nets.shapley import Contributions, compute_contributions
from ceus_models.nets.two_stream import TwoStream
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import CLINICAL, DISEASE_NETS, DISEASE_TYPES, FUSION_NETS, LESION_TYPES, SUBMODELS
from client.data.analysis.trace import Trace
from client.predict.cautions import Caution, list_cautions

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
        clip_checked: Whether a person has confirmed the clips.
    """

    row: int
    sample: Sample
    trace: Trace
    checked: bool = False
    clip_checked: bool = False


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
        return {
            variable.name: None if math.isnan(value) else variable.invert_transform(value) for variable, value in values
        }

    @property
    def all_low(self) -> bool:
        """Whether every one of the five disease nets says no."""
        return not any(net.yes for net in self.nets if net.net in DISEASE_NETS)

    @property
    def other_since_low(self) -> bool:
        """Whether it is called OT while all five disease nets say no, which is what OT was learnt from."""
        return self.answer == OTHER and self.all_low


def predict(lesion: Lesion, bundle: Bundle) -> Prediction:
    """Raises ExpectedError for a bundle without fusion net, or without one of the nine sub-models below it."""
    samples = [lesion.sample]
    model = _select_model(bundle)
    asked = bundle.predict_outputs(SUBMODELS, samples)
    table = np.concatenate([said.final for said in asked], axis=1).astype(np.float32)  # (1 9), as a site keeps it
    probabilities = bundle.predict_fusion(model, table, samples)[0]
    features = build_fusion_inputs(model, table, samples, bundle.recipe).to(bundle.device)
    parts = compute_contributions(model, bundle.load_fusion_net(model), features, bundle.recipe)
    by_type = dict(zip(LESION_TYPES, probabilities.tolist(), strict=True))
    nets = tuple(_make_net_answer(net, said, bundle) for net, said in zip(SUBMODELS, asked, strict=True))
    looked = _select_explained_net(by_type, nets)
    spatial, temporal = _compute_maps(looked, samples, bundle)
    found = tuple(list_cautions(lesion.sample, lesion.trace, bundle, lesion.checked, lesion.clip_checked))
    return Prediction(lesion, model, by_type, nets, parts, looked, spatial, temporal, found)


def _select_model(bundle: Bundle) -> str:
    """The fusion net that sees most."""
    known = [net for net in FUSION_NETS if net in bundle.nets]
    if not known:
        raise ExpectedError(
            "the bundle needs a fusion net to name a type; found none; use the bundle of a finished study"
        )
    return known[-1]


def _make_net_answer(net: str, said: BranchPredictions, bundle: Bundle) -> NetAnswer:
    final, spatial, temporal, weight = (float(values.reshape(-1)[0]) for values in said)
    return NetAnswer(net, final, spatial, temporal, weight, bundle.thresholds[net])


def _select_explained_net(by_type: Mapping[str, float], nets: Sequence[NetAnswer]) -> str:
    """The net of the type that is named; of OT, which has none, the disease net that is nearest to a yes."""
    answer = max(by_type, key=by_type.__getitem__)
    if answer in DISEASE_TYPES:
        return DISEASE_NETS[DISEASE_TYPES.index(answer)]
    return max((net for net in nets if net.net in DISEASE_NETS), key=lambda net: net.probability).net


def _compute_maps(net: str, samples: Sequence[Sample], bundle: Bundle) -> tuple[Cam, Cam]:
    place = locate_output(net, bundle.recipe.sharing)
    module = bundle.load_two_stream_net(place.net, samples).module
    if not isinstance(module, TwoStream):
        raise TypeError(f"{net} is no two-stream net")
    return grad_cam(module, samples[0], bundle.recipe.normaliser, place.columns.start or 0)
