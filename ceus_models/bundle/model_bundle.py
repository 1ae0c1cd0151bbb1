"""The model bundle: a folder with the nets, their input settings, the study's results and a model card.

SHA256SUMS holds the checksum of every file, so a bundle that was truncated, mixed or edited does not open. Reading a
bundle needs neither Flower nor the coordinator.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Gt, Lt
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ceus_models.bundle.checksums import CHECKSUM_FILE, ChecksumError, verify_checksums, write_checksums
from ceus_models.bundle.model_card import render_model_card
from ceus_models.metrics.ood import TrainingFigures
from ceus_models.nets.factory import CPU
from ceus_models.nets.fusion import build_fusion_inputs
from ceus_models.nets.heads import list_nets, locate_output
from ceus_models.nets.module_cache import LoadedNet, load_net
from ceus_models.nets.predict import BranchPredictions, compute_probabilities, measure_statistics, predict_two_stream
from ceus_models.protocol.messages import Recipe
from ceus_models.protocol.state import State, add_prefix, digest, select_net
from ceus_models.runtime.atomic_files import PUBLIC, replace_folder
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.humanize import is_printable
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, FUSION_NETS, LESION_TYPES, NETS, SUBMODELS

FORMAT = 2
NETS_FILE = "nets.safetensors"
METADATA_FILE = "bundle.json"
STUDY_FILE = "study.json"
CARD_FILE = "MODEL_CARD.md"
FILES = (NETS_FILE, METADATA_FILE, STUDY_FILE, CARD_FILE)
_RECIPE = TypeAdapter(Recipe)
_PROCESSING = TypeAdapter(Processing)
_TYPICAL = TypeAdapter(TrainingFigures)
_THRESHOLDS = TypeAdapter(dict[str, Annotated[float, Gt(0), Lt(1)]])
EVEN_THRESHOLDS: Mapping[str, float] = dict.fromkeys(SUBMODELS, 0.5)
"""The threshold of a binary net in the study's evaluation is one half (client.worker.tasks.counts.score_counts)."""
TAXONOMY = {
    "lesion_types": list(LESION_TYPES),
    "biomarkers": list(BIOMARKERS),
    "clinical": [[variable.name, variable.unit, variable.transform] for variable in CLINICAL],
}
"""The order of inputs and outputs; a bundle with another order would be read wrongly."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model with everything that a prediction needs.

    Args:
        nets: parameters by net.
        recipe: architecture, normalisation and class weights.
        processing: the settings from clip to sample.
        plan: digest of the study's plan.
        provenance: who made the bundle, and from what, as JSON values.
        device: on which the nets run.
        thresholds: the probability from which a binary net is positive, by net.
        typical: statistics of the training lesions, None where the study has none.
        study: plan, results, participation and privacy spent, as JSON values.
        fingerprint: digest of the checksum file, "" for a bundle that was not read from a folder.
    """

    nets: Mapping[str, State]
    recipe: Recipe
    processing: Processing
    plan: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device = CPU
    thresholds: Mapping[str, float] = field(default_factory=lambda: EVEN_THRESHOLDS)
    typical: TrainingFigures | None = None
    study: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def predict_submodels(self, samples: Sequence[Sample]) -> npt.NDArray[np.float32]:
        """Probabilities (n 9) of the sub-models, in the order of SUBMODELS."""
        found = [said.final for said in self.predict_outputs(SUBMODELS, samples)]
        return np.concatenate(found, axis=1).astype(np.float32)

    def predict(self, samples: Sequence[Sample], net: str = "fusion/DCB") -> npt.NDArray[np.float64]:
        """Probabilities (n k) of one net: six types for a fusion net, five for strategy A, one for a binary net.

        Raises:
            ExpectedError: the bundle has no such net.
        """
        if net not in FUSION_NETS:
            return self.predict_branches(net, samples).final
        return self.predict_fusion(net, self.predict_submodels(samples), samples)

    def predict_branches(self, output: str, samples: Sequence[Sample]) -> BranchPredictions:
        """Probabilities of a two-stream output and of its two branches. Raises ExpectedError as `predict`."""
        return self.predict_outputs([output], samples)[0]

    def predict_outputs(self, outputs: Sequence[str], samples: Sequence[Sample]) -> list[BranchPredictions]:
        """The same of several outputs, in their order; each net is asked once. Raises ExpectedError as `predict`."""
        found = {
            net: predict_two_stream(self.load_two_stream_net(net, samples).module, samples, self.recipe)
            for net in list_nets(outputs, self.recipe.sharing)
        }
        places = (locate_output(output, self.recipe.sharing) for output in outputs)
        return [found[net].select(columns) for net, columns in places]

    def predict_fusion(
        self, net: str, probabilities_of_submodels: npt.NDArray[np.float32], samples: Sequence[Sample]
    ) -> npt.NDArray[np.float64]:
        """Probabilities (n 6) of a fusion net from those of the sub-models (n 9). Raises ExpectedError as `predict`."""
        features = build_fusion_inputs(net, probabilities_of_submodels, samples, self.recipe).to(self.device)
        module = self.load_fusion_net(net)  # made within, its tensors could never be filled again
        with torch.inference_mode():
            return compute_probabilities(module(features))

    def load_fusion_net(self, net: str) -> nn.Module:
        """A fusion net; valid until the next net is loaded in this thread."""
        return load_net(net, self.recipe, self._require_state(net), None, self.device).module

    def load_two_stream_net(self, net: str, samples: Sequence[Sample]) -> LoadedNet:
        """A two-stream net for these lesions; valid until the next net is loaded in this thread."""
        kept = load_net(net, self.recipe, self._require_state(net), None, self.device)
        if kept.local:  # BatchNorm statistics never left the sites: measure them on these lesions
            measure_statistics(kept.module, samples, self.recipe)
        return kept

    def _require_state(self, net: str) -> State:
        if net not in self.nets:
            raise ExpectedError(
                f"expected a net of this bundle, found {net}; choose one of {', '.join(sorted(self.nets))}"
            )
        return self.nets[net]


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the folder atomically; an older bundle of that name is replaced.

    Raises:
        ExpectedError: the folder exists and is not a bundle.
    """
    if folder.exists() and not (folder / METADATA_FILE).is_file():
        raise ExpectedError(f"expected a new folder or a bundle, {folder} is neither; choose another folder")
    with replace_folder(folder) as draft:
        tensors = {n: t for net, state in bundle.nets.items() for n, t in add_prefix(state, f"{net}|").items()}
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, draft / NETS_FILE)
        about, study = _build_metadata(bundle), dict(bundle.study)
        for name, content in ((METADATA_FILE, about), (STUDY_FILE, study)):
            text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
            (draft / name).write_text(text + "\n", encoding="utf-8")
        (draft / CARD_FILE).write_text(render_model_card(about, study), encoding="utf-8")
        write_checksums(draft, FILES)
        for path in draft.iterdir():
            path.chmod(PUBLIC)
        draft.chmod(0o755)


def load_bundle(folder: Path, device: torch.device = CPU) -> Bundle:
    """Read the bundle in a folder.

    Raises:
        ExpectedError: format, taxonomy or processing settings are not those of this version.
        ChecksumError: files differ from their checksums; it names the files and the damaged nets.
    """
    fingerprint = _check_folder(folder)
    about = _read_metadata(folder)
    try:
        recipe = _RECIPE.validate_python(about["recipe"])
        processing = _PROCESSING.validate_python(about["processing"])
        digests, plan, provenance = dict(about["nets"]), str(about["plan"]), dict(about["provenance"])
        thresholds = _THRESHOLDS.validate_python(about["thresholds"])
        typical = None if about["typical"] is None else _TYPICAL.validate_python(about["typical"])
        study = dict(json.loads((folder / STUDY_FILE).read_bytes()))
        _require_printable(folder, about, study)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        what = _rule_broken(error) if isinstance(error, ValidationError) else type(error).__name__
        raise ExpectedError(f"{folder / METADATA_FILE} is incomplete ({what}); export the bundle again") from None
    if processing.digest() != about.get("processing_digest"):
        raise ExpectedError(
            f"expected the processing settings of this version, {folder} has other ones; export the bundle again"
        )
    nets = _read_nets(folder, digests)
    return Bundle(
        nets, recipe, processing, plan, provenance, device, thresholds, typical, study=study, fingerprint=fingerprint
    )


def _require_printable(folder: Path, *documents: Mapping[str, Any]) -> None:
    if not all(is_printable(document, newlines=True) for document in documents):
        raise ExpectedError(f"expected printable text, {folder} holds control characters; do not use this bundle")


def _rule_broken(error: ValidationError) -> str:
    """The first rule that settings break, and where."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"


def _build_metadata(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "taxonomy": TAXONOMY,
        "recipe": _RECIPE.dump_python(bundle.recipe, mode="json"),
        "processing": dataclasses.asdict(bundle.processing),
        "processing_digest": bundle.processing.digest(),
        "plan": bundle.plan,
        "provenance": dict(bundle.provenance),
        "nets": {net: digest(state) for net, state in bundle.nets.items()},
        "thresholds": dict(bundle.thresholds),
        "typical": None if bundle.typical is None else _TYPICAL.dump_python(bundle.typical, mode="json"),
    }


def _check_folder(folder: Path) -> str:
    """The fingerprint of an unaltered folder. Raises ExpectedError, ChecksumError."""
    if not folder.is_dir():
        raise ExpectedError(f"expected the folder of a bundle, {folder} is no folder; give its path")
    try:
        return verify_checksums(folder, FILES)
    except ChecksumError as error:
        if not (folder / CHECKSUM_FILE).exists():  # format 1 had none
            _read_metadata(folder)
        odd = _describe_damaged_nets(folder) if error.files == (NETS_FILE,) else ""
        raise ChecksumError(f"{error}{odd}", error.files) from None


def _describe_damaged_nets(folder: Path) -> str:
    """The names of damaged nets as part of a sentence, "" where the tensors cannot be read."""
    try:
        digests, tensors = json.loads((folder / METADATA_FILE).read_bytes())["nets"], load_file(folder / NETS_FILE)
    except (OSError, SafetensorError, ValueError):
        return ""
    return "".join(
        f"; net {net} is not the one that was saved"
        for net, saved in digests.items()
        if digest(select_net(tensors, net)) != saved
    )


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA_FILE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExpectedError(f"expected a bundle, {path} is missing or no JSON; copy the bundle again") from None
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise ExpectedError(f"expected bundle format {FORMAT}, {folder} has {found}; export the bundle again")
    if about.get("taxonomy") != TAXONOMY:
        raise ExpectedError(
            f"expected the lesion types, biomarkers and clinical variables of this version, {folder} has other ones; "
            "export the bundle again"
        )
    return dict(about)


def _read_nets(folder: Path, digests: Mapping[str, str]) -> dict[str, State]:
    path = folder / NETS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError):
        raise ExpectedError(f"{path} is missing or damaged; copy the bundle again") from None
    found = {name.split("|", 1)[0] for name in tensors}
    if odd := sorted(found ^ digests.keys()) or sorted(found - set(NETS)):
        raise ExpectedError(f"{path} and {METADATA_FILE} disagree on net {odd[0]}; copy the bundle again")
    return {net: select_net(tensors, net) for net in sorted(found)}
