"""The site's own file, `site.yaml`: where things lie and how its screens look."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import make_private_folder, write_first
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document
from ceus_models.study.subgroups import UNKNOWN
from client.data.forms.receive_form import ReceiveForm
from client.data.forms.site_yaml import CHANNELS, DateOrder, OutlineWord, ScreenForm, SiteForm
from client.data.forms.table_format import TableFormat
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.imaging.screen import ANY_MAKER, Screen
from client.data.imaging.tint import Tint

SITE_FILE = "site.yaml"
SECRET_BYTES = 32
PSEUDONYM_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """A hospital folder, checked. Paths are absolute; `work` holds cache, memory and logs, `records` the audit.

    Attributes:
        max_skipped: Share of the lesions that may be unusable before `index` stops.
        reads: The table of diagnoses, which need not exist.
        lesions_format, reads_format: How each of the two tables is saved.
        dates: The meaning of 03/04/2021; None makes it a fault.
        labels: Column → {the hospital's word: ours}.
        outline_labels: The hospital's label of a drawn shape → whether that is a lesion.
        tints: The hospital's own colour maps by name.
        receive: Who may send studies to it; None where nobody may.
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
    lesions_format: TableFormat
    reads_format: TableFormat
    dates: DateOrder | None
    labels: Mapping[str, Mapping[str, str]]
    outline_labels: Mapping[str, OutlineWord]
    tints: Mapping[str, Tint]
    receive: ReceiveForm | None = None


def load_site(folder: Path) -> SiteConfig:
    """Reads FOLDER/site.yaml. Raises FaultList with every fault of the file and its line."""
    document = read_yaml_with_lines(folder / SITE_FILE, "bad-site-file")
    form = validate_document(document, SiteForm.model_validate, "the site.yaml that `ceus-site init` writes")
    return _build_site(form, folder.resolve())


def select_screens(site: SiteConfig, manufacturer: str) -> tuple[Screen, ...]:
    """The device templates that may fit: a maker's own before those for any maker, all for an unknown maker."""
    name = normalize_manufacturer(manufacturer)
    if name == UNKNOWN:
        return site.screens
    own = [screen for screen in site.screens if screen.manufacturer == name]
    return (*own, *(screen for screen in site.screens if screen.manufacturer == ANY_MAKER))


def open_work(site: SiteConfig) -> None:
    """Make the folder of crops, memory and logs, or see that it can be used; others than its owner cannot enter it.

    Raises ExpectedError, which names the folder and its key, where this user cannot write there.
    """
    make_private_folder(site.work, "work", close=site.work.is_relative_to(site.folder))


def read_secret(site: SiteConfig) -> bytes:
    """The key of the site's pseudonyms: 32 random bytes, mode 0600, made on first use and never sent.

    Raises ExpectedError when the file is there but is no such key, or cannot be made.
    """
    try:
        if not site.secret_file.exists():
            write_first(site.secret_file, secrets.token_bytes(SECRET_BYTES))  # a second key would split the pseudonyms
        key = site.secret_file.read_bytes()
    except OSError as error:
        raise ExpectedError(
            f"the secret file cannot be read or made in {site.secret_file.parent} ({error.strerror}); write another "
            "file under secret_file in site.yaml, or let this user write to that folder"
        ) from None
    if len(key) < SECRET_BYTES:
        raise ExpectedError(
            f"the secret file needs {SECRET_BYTES} bytes; found {len(key)}; restore it from a backup, or delete "
            "it to start with new pseudonyms"
        )
    return key


def make_pseudonym(site: SiteConfig, kind: str, text: str) -> str:
    """A pseudonym of 16 hexadecimal characters: HMAC-SHA256 (RFC 2104) of an id under the site's secret.

    kind: "lesion" or "patient", so that equal ids of two kinds get unequal pseudonyms.
    """
    message = f"fedceus/{kind}/{text}".encode()
    return hmac.new(read_secret(site), message, hashlib.sha256).hexdigest()[:PSEUDONYM_CHARACTERS]


def _build_site(form: SiteForm, folder: Path) -> SiteConfig:
    return SiteConfig(
        folder=folder,
        center=form.center,
        name=form.name,
        table=folder / form.table,
        secret_file=folder / form.secret_file,
        work=folder / form.work,
        max_skipped=form.max_skipped,
        screens=tuple(map(_build_screen, form.screens)),
        records=folder / form.records,
        reads=folder / form.reads,
        lesions_format=TableFormat("table", form.encoding.table, form.header_row.table),
        reads_format=TableFormat("reads", form.encoding.reads, form.header_row.reads),
        dates=form.dates,
        labels=form.labels,
        outline_labels=form.outline_labels,
        tints={name: Tint(tint.points, CHANNELS.index(tint.channel)) for name, tint in form.tints.items()},
        receive=form.receive,
    )


def _build_screen(form: ScreenForm) -> Screen:
    any_maker = form.manufacturer.strip() == ANY_MAKER
    name = ANY_MAKER if any_maker else normalize_manufacturer(form.manufacturer)
    return Screen(name, form.rows, form.columns, form.contrast, form.bmode, form.tint, form.dynamic_range_db)
