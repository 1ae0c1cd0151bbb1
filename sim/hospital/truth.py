"""The ground truth of a phantom hospital: JSON for numbers and a NumPy archive for arrays; no client reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ceus_models.runtime.atomic_files import PUBLIC, whole_file, write_whole
from sim.phantom.draw import ROI_MARGINS_PX, Truth

ARRAYS = ("seconds", "shift_px", "boxes", "out", "lesion_tic", "parenchyma_tic", "roi_tic", "mask")


def write_truth(folder: Path, name: str, center: int, lesions: Mapping[str, tuple[dict[str, Any], Truth]]) -> None:
    """Write `folder/name.json` (facts and draws per lesion) and `folder/name.npz` (arrays as "<lesion>/<array>")."""
    arrays = {f"{key}/{field}": getattr(truth, field) for key, (_, truth) in lesions.items() for field in ARRAYS}
    with whole_file(folder / f"{name}.npz", PUBLIC) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)
    document = {
        "schema": 1,
        "center": center,
        "roi_margins_px": list(ROI_MARGINS_PX),
        "lesions": {key: facts for key, (facts, _) in lesions.items()},
    }
    write_whole(folder / f"{name}.json", json.dumps(document, default=_plain).encode(), PUBLIC)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.round(3).tolist()
    raise TypeError(f"expected JSON values or arrays, found {type(value).__name__}")


def read_truth(folder: Path, name: str) -> dict[str, tuple[dict[str, Any], Truth]]:
    """Read facts and `Truth` per lesion of a hospital that `write_truth` wrote."""
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
        return {key: (facts, _truth(key, facts, archive)) for key, facts in document["lesions"].items()}


def _truth(key: str, facts: Mapping[str, Any], archive: Mapping[str, npt.NDArray[Any]]) -> Truth:
    washout = facts["washout_s"]
    return Truth(
        **{field: archive[f"{key}/{field}"] for field in ARRAYS},
        reference=int(facts["reference"]),
        peak_s=float(facts["peak_s"]),
        washout_s=float("inf") if washout is None else float(washout),
    )
