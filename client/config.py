"""The site's own file, `site.yaml`: where things lie and how its screens look."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ceus_models.failures import ExpectedError
from ceus_models.subgroups import UNKNOWN
from client.form_faults import read_form
from client.manufacturers import manufacturer_name
from client.site_form import CHANNELS, DateOrder, Encoding, ScreenForm, SiteForm
from client.tint import Tint

SITE_FILE = "site.yaml"
SECRET_BYTES = 32
PSEUDONYM_CHARACTERS = 16
ANY_MAKER = "*"

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in screen pixels; x1 and y1 are the first ones outside."""


@dataclass(frozen=True, slots=True)
class Screen:
    """How one maker's screen of one size is laid out: used where the file itself has no ultrasound regions.

    manufacturer: normalised name, or "*" for any · rows, columns: of the screen in pixels · contrast, bmode:
    the panes, bmode None on a contrast-only screen · tint: name of the colour table of the contrast pane, None where
    the pictures tell it · dynamic_range_db: of the display, None where nobody says it.
    """

    manufacturer: str
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    tint: str | None
    dynamic_range_db: float | None


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """A hospital folder, checked. Paths are absolute; `work` holds cache, memory and logs, `records` the audit.

    max_skipped: share of the lesions that may be unusable before `index` stops · reads: the table of diagnoses, which
    need not exist · encoding: of CSV files · dates: how 03/04/2021 is meant, None = it is a fault · labels: column →
    {the hospital's word: ours} · tints: the hospital's own colour maps by name.
    """

    folder: Path
    center: int
    name: str
    table: Path
    secret_file: Path
    work: Path
    max_skipped: float
    screens: tuple[Screen, ...]
    records: Path
    reads: Path
    encoding: Encoding
    dates: DateOrder | None
    labels: Mapping[str, Mapping[str, str]]
    tints: Mapping[str, Tint]


def load_site(folder: Path) -> SiteConfig:
    """Reads FOLDER/site.yaml. Raises FaultList with every fault of the file and its line."""
    return _site(read_form(folder / SITE_FILE, SiteForm.model_validate), folder.resolve())


def screens_for(site: SiteConfig, manufacturer: str) -> tuple[Screen, ...]:
    """The device templates that may fit: a maker's own before those for any maker, all for an unknown maker."""
    name = manufacturer_name(manufacturer)
    if name == UNKNOWN:
        return site.screens
    own = [screen for screen in site.screens if screen.manufacturer == name]
    return (*own, *(screen for screen in site.screens if screen.manufacturer == ANY_MAKER))


def secret(site: SiteConfig) -> bytes:
    """The key of the site's pseudonyms: 32 random bytes, mode 0600, made on first use and never sent.

    Raises ExpectedError when the file is there but is no such key, or cannot be made.
    """
    try:
        if not site.secret_file.exists():
            _make_secret(site.secret_file)
        key = site.secret_file.read_bytes()
    except OSError as error:
        raise ExpectedError(
            f"the secret file cannot be read or made ({error.strerror}); let this user write to its folder"
        ) from None
    if len(key) < SECRET_BYTES:
        raise ExpectedError(
            f"the secret file has {len(key)} bytes and needs {SECRET_BYTES}; restore it from a backup, or delete "
            "it to start with new pseudonyms"
        )
    return key


def pseudonym(site: SiteConfig, kind: str, text: str) -> str:
    """16 hexadecimal characters that stand for an id: HMAC-SHA256 under the site's secret.

    kind: "lesion" or "patient", so that equal ids of two kinds get unequal pseudonyms.
    """
    message = f"fedceus/{kind}/{text}".encode()
    return hmac.new(secret(site), message, hashlib.sha256).hexdigest()[:PSEUDONYM_CHARACTERS]


def _make_secret(path: Path) -> None:
    """Whole or not at all, and the first of two processes wins: a second key would split the pseudonyms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # mkstemp gives mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _site(form: SiteForm, folder: Path) -> SiteConfig:
    return SiteConfig(
        folder=folder,
        center=form.center,
        name=form.name,
        table=folder / form.table,
        secret_file=folder / form.secret_file,
        work=folder / form.work,
        max_skipped=form.max_skipped,
        screens=tuple(map(_screen, form.screens)),
        records=folder / form.records,
        reads=folder / form.reads,
        encoding=form.encoding,
        dates=form.dates,
        labels=form.labels,
        tints={name: Tint(tint.points, CHANNELS.index(tint.channel)) for name, tint in form.tints.items()},
    )


def _screen(form: ScreenForm) -> Screen:
    any_maker = form.manufacturer.strip() == ANY_MAKER
    name = ANY_MAKER if any_maker else manufacturer_name(form.manufacturer)
    return Screen(name, form.rows, form.columns, form.contrast, form.bmode, form.tint, form.dynamic_range_db)
