"""Write a hospital's folder as a real one has it, and the ground truth, which no client reads."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ceus_models.runtime.atomic_files import replace_folder
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.seeds import derive_seed
from sim.hospital.outlining import draw_manual_outline, move_to_screen, write_mask, write_polygon
from sim.hospital.paperwork import format_columns, write_site_config, write_table
from sim.hospital.screens import MAKERS, Caption, Layout, Maker, compose_screens, compute_layout
from sim.hospital.truth import write_truth
from sim.hospital.writers import Form, Geometry, Identity, Syntax, write_dicom, write_video
from sim.patients.patients import Case
from sim.patients.readers import write_reads
from sim.phantom.draw import Film, LesionDraw, PhantomSettings, Truth, draw_lesion
from sim.phantom.render import render

VERSION = 7
"""Increased when the same settings would give other files, so that an old folder is not reused."""
MARKER = ".phantom.json"
DICOM_SHARE, AVI_SHARE = 0.70, 0.15
SURNAMES = ("ZHANG", "WANG", "LI", "ZHAO", "CHEN", "LIU", "YANG", "HUANG", "WU", "ZHOU", "XU", "SUN")
GIVEN = ("WEI", "FANG", "NA", "MIN", "JING", "QIANG", "LEI", "YAN", "JUN", "TAO", "HUI", "PING")


@dataclass(frozen=True)
class WrittenHospital:
    """A hospital on disk; `reused` if an earlier call with the same settings has written it."""

    folder: Path
    lesions: int
    reused: bool


@dataclass(frozen=True)
class Style:
    """How one lesion's files are stored."""

    suffix: Literal[".dcm", ".avi", ".mp4"]
    syntaxes: tuple[Syntax, ...]  # per clip
    regions: bool
    contrast_only: bool
    mask: bool  # outline as a mask instead of a polygon
    pane: Literal["contrast", "bmode", "screen"]


def write_hospital(
    folder: Path, truth_folder: Path, center: int, cases: Sequence[Case], settings: PhantomSettings, seed: int
) -> WrittenHospital:
    """Write `folder` but its policy, and `truth_folder/<name>.json` and `.npz`, atomically; keep one of the same kind.

    A table of readers that an older folder lacks is added.

    Raises:
        ExpectedError: `folder` exists and is not a phantom hospital.
    """
    digest = compute_hospital_digest(center, cases, settings, seed)
    if (folder / MARKER).exists():
        if json.loads((folder / MARKER).read_text())["digest"] == digest:
            write_reads(folder, cases, seed)
            return WrittenHospital(folder, len(cases), True)
    elif folder.exists():
        raise ExpectedError(f"expected a new folder or a phantom hospital, {folder} is neither; choose another one")
    with replace_folder(folder) as draft:
        for name in ("clips", "outlines"):
            (draft / name).mkdir()
        rows, truths = [], {}
        for case in cases:
            row, truth = write_lesion(draft, case, settings, seed)
            rows.append(row)
            truths[case.lesion_id] = truth
        write_table(draft / "lesions.csv", rows)
        write_site_config(draft / "site.yaml", center, cases, settings)
        write_reads(draft, cases, seed)
        _write_secret(draft / "secret.key", center, seed)
        write_truth(truth_folder, folder.name, center, truths)
        (draft / MARKER).write_text(json.dumps({"digest": digest}))
    return WrittenHospital(folder, len(cases), False)


def _write_secret(path: Path, center: int, seed: int) -> None:
    """Write the secret key, here from the seed, so that pseudonyms are reproducible; a real site draws it at random."""
    path.touch(mode=0o600)
    path.write_bytes(hashlib.sha256(json.dumps(["secret", seed, center]).encode()).digest())


def compute_hospital_digest(center: int, cases: Sequence[Case], settings: PhantomSettings, seed: int) -> str:
    """SHA-256 over all that a hospital's files depend on."""
    text = [repr(c) for c in cases]
    parts = {"version": VERSION, "center": center, "cases": text, "settings": repr(settings), "seed": seed}
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def draw_style(settings: PhantomSettings, rng: np.random.Generator) -> Style:
    """Draw file formats in the shares of real archives; the long clip is compressed more often than the short ones."""
    kind = rng.random()
    suffix: Literal[".dcm", ".avi", ".mp4"] = ".mp4"
    if kind < DICOM_SHARE + AVI_SHARE:
        suffix = ".dcm" if kind < DICOM_SHARE else ".avi"
    names: tuple[Syntax, ...] = ("jpeg", "rle", "raw")
    shares = [(0.94, 0.04, 0.02)] + [(0.7, 0.15, 0.15)] * len(settings.snapshots_s)
    syntaxes = tuple(names[int(rng.choice(3, p=share))] for share in shares)
    contrast_only = bool(rng.random() < settings.contrast_only)
    pane: Literal["contrast", "bmode", "screen"] = "contrast"
    chance = rng.random()
    if not contrast_only and chance < 0.3:
        pane = "bmode" if chance < 0.2 else "screen"
    return Style(suffix, syntaxes, bool(rng.random() < 0.85), contrast_only, bool(rng.random() < 0.15), pane)


def write_lesion(
    folder: Path, case: Case, settings: PhantomSettings, seed: int
) -> tuple[dict[str, str], tuple[dict[str, Any], Truth]]:
    """Write the clips and the outline of one lesion; return its row of the table and its ground truth."""
    rng = np.random.default_rng(derive_seed(seed, "hospital", case.center, case.lesion_id))
    maker = MAKERS[case.manufacturer]
    style = draw_style(settings, rng)
    dicom = style.suffix == ".dcm"
    irregular = settings.irregular and dicom and bool(rng.random() < 0.5)
    choice = draw_lesion(case, settings, maker.machine, irregular, seed)
    films, truth = render(choice, settings)
    pane = (choice.plane.height, choice.plane.width)
    layout = compute_layout(maker, pane, style.contrast_only)
    identity = _draw_identity(case, rng)
    clips = [f"clips/{case.lesion_id}_{i}{style.suffix}" for i in range(1, len(films) + 1)]
    geometry = Geometry(layout, choice.plane.mm_per_px, style.regions)
    for i, film in enumerate(films):
        numbered = dataclasses.replace(identity, clip=i + 1)
        _write_clip(folder / clips[i], film, maker, numbered, (geometry, style.syntaxes[i], settings.jpeg_quality))
    outline = _write_outline(folder, case.lesion_id, style, (layout, choice, truth), rng)
    starts = ";".join(f"{film.seconds[0]:.3f}" for film in films)
    rate = "" if dicom else f"{1 / float(np.diff(films[0].seconds).mean()):.9g}"
    row = {
        "clips": ";".join(clips),
        "clip_start_s": starts,
        "frame_rate_hz": rate,
        "outline": outline,
        "outline_frame": str(truth.reference),
        "outline_pane": style.pane,
    }
    facts = {
        "fll_type": case.fll_type,
        "subtype": case.subtype,
        "grade": case.grade,
        "size_cm": case.size_cm,
        "manufacturer": case.manufacturer,
        "style": dataclasses.asdict(style),
        "layout": dataclasses.asdict(layout),
        "draw": {k: v for k, v in dataclasses.asdict(choice).items() if k != "clip_seconds"},
        "frames": [film.seconds.size for film in films],
        "reference": truth.reference,
        "peak_s": truth.peak_s,
        "washout_s": truth.washout_s if math.isfinite(truth.washout_s) else None,
    }
    return {**format_columns(case), **row}, (facts, truth)


def _draw_identity(case: Case, rng: np.random.Generator) -> Identity:
    # depends on the patient alone, so that all lesions of a patient have one name
    who = np.random.default_rng(derive_seed("name", case.center, case.patient_id))
    name = f"{SURNAMES[int(who.integers(len(SURNAMES)))]}^{GIVEN[int(who.integers(len(GIVEN)))]}"
    age = case.clinical.get("age") or 55.0
    born = case.exam_date - datetime.timedelta(days=int(age * 365.25) + int(rng.integers(0, 300)))
    sex: Literal["M", "F"] = "M" if case.clinical.get("sex") else "F"
    return Identity(name, case.patient_id, born, case.exam_date, sex, f"Hospital {case.center}", case.lesion_id, 1)


def _write_clip(path: Path, film: Film, maker: Maker, identity: Identity, form: Form) -> None:
    caption = Caption(
        identity.patient_name.replace("^", " "), identity.patient_id, str(identity.exam_date), identity.hospital
    )
    bmode = film.bmode if form[0].layout.bmode is not None else None
    screens = compose_screens(film.contrast, bmode, film.seconds.tolist(), maker, caption)
    if path.suffix == ".dcm":
        write_dicom(path, screens, film.seconds, identity, maker, form)
    else:
        write_video(path, screens, 1 / float(np.diff(film.seconds).mean()))


def _write_outline(
    folder: Path, name: str, style: Style, known: tuple[Layout, LesionDraw, Truth], rng: np.random.Generator
) -> str:
    layout, choice, truth = known
    box = layout.bmode if style.pane == "bmode" and layout.bmode is not None else layout.contrast
    points = move_to_screen(draw_manual_outline(choice.plane.outline, truth.shift_px[truth.reference], rng), box)
    relative = f"outlines/{name}{'.png' if style.mask else '.json'}"
    if style.mask:
        write_mask(folder / relative, points, layout)
    else:
        write_polygon(folder / relative, points, layout, truth.reference)
    return relative
