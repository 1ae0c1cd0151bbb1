"""A hospital's tables and settings: `lesions.csv`, `site.yaml` and `policy.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.csv_cells import format_csv
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL
from sim.hospital.screens import MAKERS, compute_layout
from sim.patients.patients import Case
from sim.phantom.draw import PhantomSettings, compute_pane

FLAGS = tuple(v.name for v in CLINICAL if v.kind == "binary" and v.name != "sex")
PolicyKind = Literal["open", "safe"]
"""open: every plan is answered at every level; safe: the policy as it comes with a site."""
OPEN_BECAUSE = "Phantoms of a simulation: no patient is behind any of these lesions."
_OPEN = {
    "schema": 2,
    "studies": "any",
    "minimum_lesions": 1,
    "minimum_cell": 1,
    "max_replicates": 10_000,  # bootstrap replicates pair the arms of an experiment
    "privacy": {
        "training": "none",
        "statistics": "none",
        "evaluation": "none",
        "minimum_sites": 3,
        "epsilon": 1e6,
        "lifetime_epsilon": 1e6,
    },
    "accept_risk": OPEN_BECAUSE,
}


def format_columns(case: Case) -> dict[str, str]:
    """The columns of a lesion in the hospital's table, without its files."""
    row = {
        "lesion_id": case.lesion_id,
        "patient_id": case.patient_id,
        "exam_date": case.exam_date.isoformat(),
        "fll_type": case.fll_type,
        "manufacturer": case.manufacturer,
        "pathology_confirmed": str(int(case.pathology_confirmed)),
        "followup_confirmed": "" if case.pathology_confirmed else str(int(case.followed_up)),
    }
    for name in BIOMARKERS:
        result = case.biomarkers.get(name)
        row[name] = "" if result is None else str(result)
    for variable in CLINICAL:
        value = case.clinical.get(variable.name)
        row[format_header(variable.name)] = _format_value(variable.name, value)
    return row


def _format_value(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "sex":
        return "male" if value else "female"
    return str(int(value)) if name in FLAGS else f"{value:.4g}"


def format_header(name: str) -> str:
    """The column header of a clinical variable, with its unit in parentheses.

    >>> format_header("AFP"), format_header("sex")
    ('AFP (ng/mL)', 'sex')
    """
    unit = next(variable.unit for variable in CLINICAL if variable.name == name)
    return f"{name} ({unit})" if unit and name not in ("sex", *FLAGS) else name


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write `lesions.csv`, one row a lesion."""
    front = ("lesion_id", "patient_id", "exam_date", "fll_type", "manufacturer", "clips", "clip_start_s")
    middle = ("frame_rate_hz", "outline", "outline_frame", "outline_pane", *BIOMARKERS)
    clinical = tuple(format_header(variable.name) for variable in CLINICAL)
    with path.open("w", newline="", encoding="utf-8") as file:
        header = [*front, *middle, *clinical, "pathology_confirmed", "followup_confirmed"]
        file.write(format_csv([header, *([row.get(column, "") for column in header] for row in rows)]))


def write_site_config(path: Path, center: int, cases: Sequence[Case], settings: PhantomSettings) -> None:
    """Write `site.yaml` with a template of every screen of the hospital's machines."""
    makers = sorted({case.manufacturer for case in cases})
    screens = [_build_template(name, only, settings) for name in makers for only in (False, True)]
    document = {
        "schema": 1,
        "center": center,
        "name": f"Hospital {center}",
        "table": "lesions.csv",
        "secret_file": "secret.key",
        "work": ".ceus",
        "max_skipped": 0.2,
        "screens": screens,
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def write_policy(path: Path, kind: PolicyKind) -> None:
    """Write `policy.yaml`, unless the hospital has one."""
    if path.exists():
        return
    if kind == "safe":
        content = resources.files("client.cli").joinpath("policy.example.yaml").read_bytes()
    else:
        content = yaml.safe_dump(_OPEN, sort_keys=False, allow_unicode=True).encode()
    write_atomically(path, content, PUBLIC)


def _build_template(name: str, contrast_only: bool, settings: PhantomSettings) -> dict[str, Any]:
    """One screen of site.yaml: clients know the gold map, all others have the level in the brightest channel."""
    maker = MAKERS[name]
    layout = compute_layout(maker, compute_pane(settings, maker.machine), contrast_only)
    return {
        "manufacturer": name,
        "rows": layout.rows,
        "columns": layout.columns,
        "contrast": list(layout.contrast),
        "bmode": None if layout.bmode is None else list(layout.bmode),
        "tint": "gold" if maker.tint == "gold" else "brightest",
        "dynamic_range_db": maker.machine.dynamic_range_db,
    }
