"""Everything needed to predict, as a folder of two files: nets.safetensors and bundle.json.

The JSON names the digest of every net and of the tensors' file, so a bundle that was cut short, mixed or edited does
not open.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ceus_models.failures import ExpectedError
from ceus_models.fusion import fusion_inputs
from ceus_models.nets import CPU, loaded, measure_statistics, probabilities, scores
from ceus_models.processing import Processing
from ceus_models.sample import Sample
from ceus_models.state import State, digest, net_state, prefixed
from ceus_models.taxonomy import BIOMARKERS, CLINICAL, FUSION_NETS, LESION_TYPES, NETS, SUBMODELS
from ceus_models.wire import Recipe

FORMAT = 1
NETS_FILE = "nets.safetensors"
ABOUT_FILE = "bundle.json"
_RECIPE = TypeAdapter(Recipe)
_PROCESSING = TypeAdapter(Processing)
TAXONOMY = {
    "lesion_types": list(LESION_TYPES),
    "biomarkers": list(BIOMARKERS),
    "clinical": [[variable.name, variable.unit, variable.transform] for variable in CLINICAL],
}
"""What the places of inputs and outputs mean; a bundle of another taxonomy would be read wrongly."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """nets: parameters by net · plan: digest of the study's plan · provenance: who made it of what, as JSON values."""

    nets: Mapping[str, State]
    recipe: Recipe
    processing: Processing
    plan: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device = CPU

    def submodels(self, samples: Sequence[Sample]) -> npt.NDArray[np.float32]:
        """(n 9) probabilities of the sub-models, in the order of SUBMODELS."""
        return np.concatenate([self._scores(net, samples) for net in SUBMODELS], axis=1).astype(np.float32)

    def predict(self, samples: Sequence[Sample], net: str = "fusion/DCB") -> npt.NDArray[np.float64]:
        """(n k) probabilities of one net: six types for a fusion net, five for strategy A, one for a binary net.

        Raises ExpectedError for a net that the bundle lacks.
        """
        if net not in FUSION_NETS:
            return self._scores(net, samples)
        features = fusion_inputs(net, self.submodels(samples), samples, self.recipe).to(self.device)
        kept = loaded(net, self.recipe, self._state(net), None, self.device)
        with torch.inference_mode():
            return probabilities(kept.module(features))

    def _scores(self, net: str, samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
        kept = loaded(net, self.recipe, self._state(net), None, self.device)
        if kept.local:  # local statistics never left the sites, so these lesions must tell
            measure_statistics(kept.module, samples, self.recipe)
        return scores(kept.module, samples, self.recipe)

    def _state(self, net: str) -> State:
        if net not in self.nets:
            raise ExpectedError(f"the bundle has no net {net}; it has {', '.join(sorted(self.nets))}")
        return self.nets[net]


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the folder; it appears whole or not at all, and replaces an older bundle of that name.

    Raises ExpectedError when something else than a bundle is in its place.
    """
    if folder.exists() and not (folder / ABOUT_FILE).is_file():
        raise ExpectedError(f"{folder} exists and is no bundle; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        tensors = {n: t for net, state in bundle.nets.items() for n, t in prefixed(state, f"{net}|").items()}
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, part / NETS_FILE)
        text = json.dumps(_about(bundle), indent=2, sort_keys=True, allow_nan=False)
        (part / ABOUT_FILE).write_text(text + "\n", encoding="utf-8")
        part.chmod(0o755)
        if folder.exists():
            old = part.with_name(part.name + "-old")
            folder.replace(old)
            part.replace(folder)
            shutil.rmtree(old)
        else:
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_bundle(folder: Path, device: torch.device = CPU) -> Bundle:
    """The bundle in a folder, ready to predict.

    Raises ExpectedError for another format or taxonomy, for settings that are not of this version, and for tensors
    that are not those that were saved; the text names the first broken net.
    """
    about = _read_about(folder)
    try:
        recipe = _RECIPE.validate_python(about["recipe"])
        processing = _PROCESSING.validate_python(about["processing"])
        digests, plan, provenance = dict(about["nets"]), str(about["plan"]), dict(about["provenance"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        what = type(error).__name__
        raise ExpectedError(f"{folder / ABOUT_FILE} is not complete ({what}); export the bundle again") from None
    if processing.digest() != about.get("processing_digest"):
        raise ExpectedError(f"{folder} was trained on lesions that this version processes otherwise: export it again")
    nets = _read_nets(folder, digests)
    return Bundle(nets, recipe, processing, plan, provenance, device)


def _about(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "taxonomy": TAXONOMY,
        "recipe": _RECIPE.dump_python(bundle.recipe, mode="json"),
        "processing": dataclasses.asdict(bundle.processing),
        "processing_digest": bundle.processing.digest(),
        "plan": bundle.plan,
        "provenance": dict(bundle.provenance),
        "nets": {net: digest(state) for net, state in bundle.nets.items()},
    }


def _read_about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT_FILE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExpectedError(f"{path} is missing or no JSON: {folder} is no bundle") from None
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise ExpectedError(f"{folder} has bundle format {found}, this version opens {FORMAT}: export it again")
    if about.get("taxonomy") != TAXONOMY:
        raise ExpectedError(f"{folder} was made for other lesion types, biomarkers or clinical variables")
    return dict(about)


def _read_nets(folder: Path, digests: Mapping[str, str]) -> dict[str, State]:
    path = folder / NETS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError):
        raise ExpectedError(f"{path} is missing or damaged; copy the bundle again") from None
    found = {name.split("|", 1)[0] for name in tensors}
    if odd := sorted(found ^ digests.keys()) or sorted(found - set(NETS)):
        raise ExpectedError(f"{path} and {ABOUT_FILE} disagree on net {odd[0]}; copy the bundle again")
    nets: dict[str, State] = {net: net_state(tensors, net) for net in sorted(found)}
    for net, state in nets.items():
        if digest(state) != digests[net]:
            raise ExpectedError(f"{path}: net {net} is not the one that was saved; copy the bundle again")
    return nets
