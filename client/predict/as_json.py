"""An answer as one JSON object: every number that the page shows, and those that it has no room for."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import Any

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH_ONLY
from ceus_models.metrics.ood import find_unusual_figures
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES
from client.predict.prediction import Prediction

METHOD = (
    "exact Shapley values of the probability; background: every clinical variable recorded at its training mean, every "
    "sub-model at one half"
)
FORMAT = 1


def build_document(prediction: Prediction, bundle: Bundle) -> dict[str, Any]:
    """Nothing in it is NaN; nothing in it names a patient, a date or a file."""
    sample, parts = prediction.lesion.sample, prediction.contributions
    far = [] if bundle.typical is None else find_unusual_figures(sample, bundle.typical)
    return {
        "format": FORMAT,
        "notice": RESEARCH_ONLY,
        "lesion": sample.key,
        "row": prediction.lesion.row,
        "class": prediction.answer,
        "probabilities": dict(prediction.probabilities),
        "called_other_since_all_low": prediction.other_since_low,
        "all_disease_nets_low": prediction.all_low,
        "model": prediction.model,
        "nets": {
            net.net: {
                "probability": net.probability,
                "threshold": net.threshold,
                "yes": net.yes,
                "spatial": net.spatial,
                "temporal": net.temporal,
                "spatial_weight": net.spatial_weight,
                "temporal_weight": 1.0 - net.spatial_weight,
            }
            for net in prediction.nets
        },
        "contributions": {
            "method": METHOD,
            "background": _map_by_type(parts.background),
            "by_part": {part: _map_by_type(values) for part, values in parts.by_part.items()},
        },
        "clinical": _list_clinical(prediction),
        "curve": {name: _round_number(value) for name, value in prediction.lesion.trace.parameters.items()},
        "quality": {name: _round_number(value) for name, value in sample.quality.items()},
        "cautions": [vars(caution) for caution in prediction.cautions],
        "out_of_distribution": any(one.is_out for one in far) if bundle.typical else None,
        "unusual": {one.figure: {"value": _round_number(one.value), "deviations": _round_number(one.z)} for one in far},
        "grad_cam": {
            "net": prediction.looked,
            "frames": {"layer": prediction.spatial.layer, "grid": list(prediction.spatial.maps.shape[1:])},
            "flow": {"layer": prediction.temporal.layer, "grid": list(prediction.temporal.maps.shape[1:])},
        },
        "made_by": describe_origin(bundle),
    }


def describe_origin(bundle: Bundle) -> dict[str, str]:
    """What the answer depends on beside the lesion."""
    return {
        "fedceus": version("fedceus"),
        "bundle": bundle.fingerprint,
        "plan": str(bundle.provenance.get("plan", "")),
        "plan_digest": bundle.plan,
        "processing": bundle.processing.digest(),
    }


def encode_document(found: dict[str, Any]) -> bytes:
    """The file's content."""
    return json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _map_by_type(values: Any) -> dict[str, float]:
    return dict(zip(LESION_TYPES, values.tolist(), strict=True))


def _list_clinical(prediction: Prediction) -> dict[str, Any]:
    """In the taxonomy's own units; null where not recorded. used: whether this model sees it."""
    used, units = prediction.contributions.by_part, {variable.name: variable.unit for variable in CLINICAL}
    return {
        name: {"value": value, "unit": units[name], "used": name in used} for name, value in prediction.clinical.items()
    }


def _round_number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
