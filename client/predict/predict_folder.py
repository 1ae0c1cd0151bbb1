"""The model asked about the lesions of a folder, one by one: read, asked, written. A bad one costs itself only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError, Fault
from ceus_models.study.processing import Processing
from client.data.dataset.row_faults import map_rows
from client.data.forms.site_config import SITE_FILE, SiteConfig, load_site
from client.data.table.rows import Row
from client.predict.answer_view import build_answer_view
from client.predict.as_json import build_document, encode_document
from client.predict.html_page import render_page
from client.predict.lesion_reader import read_lesion
from client.predict.pdf_sheet import render_sheet
from client.predict.prediction import Lesion, Prediction, predict

TABLES = ("lesions.csv", "lesions.xlsx")


@dataclass(frozen=True)
class AnsweredLesion:
    """One lesion with its files: KEY.json, KEY.html, KEY.pdf. found: what the JSON file holds."""

    row: Row
    prediction: Prediction
    found: dict[str, Any]
    page: Path


def build_lesions_site(study: Path, hospital: Path | None) -> SiteConfig:
    """The site whose words, screens and secret hold for a folder of lesions: the folder's own, or the hospital's.

    hospital: its folder, where the lesions lie in another one. Raises ExpectedError.
    """
    if hospital is None:
        if not (study / SITE_FILE).is_file():
            raise ExpectedError(
                f"the site's folder holds {SITE_FILE}; found none in {study}; name the hospital's folder with --site"
            )
        return load_site(study)
    site = load_site(hospital)
    names = (site.table.name, *TABLES)
    table = next((study / name for name in names if (study / name).is_file()), study / TABLES[0])
    return dataclasses.replace(site, folder=study.resolve(), table=table.resolve())


def read_lesions(
    rows: Sequence[Row], site: SiteConfig, processing: Processing, workers: int
) -> Iterator[tuple[Row, Lesion | Fault]]:
    """Lesions as they are read, or what is wrong with them. workers: processes, 0 = none."""
    cv2.setNumThreads(1)  # as in `ceus-site index`
    read = partial(read_lesion, site=site, processing=processing)
    with closing(map_rows(read, rows, site, workers)) as outcomes:
        for row, outcome in outcomes:
            yield (
                row,
                outcome
                if isinstance(outcome, Fault)
                else Lesion(row.line, *outcome, row.track_checked, row.clip_checked),
            )


def answer_lesion(row: Row, lesion: Lesion, bundle: Bundle, out: Path) -> AnsweredLesion:
    """Ask and write the three files, each whole or not at all, for this user's eyes. Raises ExpectedError."""
    prediction = predict(lesion, bundle)
    found, view = build_document(prediction, bundle), build_answer_view(prediction, bundle)
    contents = {
        "json": encode_document(found),
        "html": render_page(view).encode(),
        "pdf": render_sheet(view),
    }
    paths = {kind: out / f"{lesion.sample.key}.{kind}" for kind in contents}
    try:
        for kind, content in contents.items():
            write_atomically(paths[kind], content)
    except OSError as error:
        raise ExpectedError(f"{out} cannot be written ({error.strerror}); name another folder with --out") from None
    return AnsweredLesion(row, prediction, found, paths["html"])
