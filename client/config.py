"""The site's own file, `site.yaml`: where things lie, how its screens look, and what it allows."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ceus_models.failures import ExpectedError
from client.faults import Fault, FaultList
from client.lined_yaml import Key, LinedYaml, LinedYamlError, read_lined_yaml
from client.manufacturers import UNKNOWN, manufacturer_name
from client.policy import Policy

SITE_FILE = "site.yaml"
SECRET_BYTES = 32
PSEUDONYM_CHARACTERS = 16
ANY_MAKER = "*"
TaskKind = Literal["hello", "tally", "train", "evaluate"]
TASK_KINDS: tuple[TaskKind, ...] = ("hello", "tally", "train", "evaluate")

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in screen pixels; x1 and y1 are the first ones outside."""


@dataclass(frozen=True, slots=True)
class Screen:
    """How one maker's screen of one size is laid out: used where the file itself has no ultrasound regions.

    manufacturer: normalised name, or "*" for any · rows, columns: of the screen in pixels · contrast, bmode:
    the panes, bmode None on a contrast-only screen · tint: name of the colour table of the contrast pane.
    """

    manufacturer: str
    rows: int
    columns: int
    contrast: Box
    bmode: Box | None
    tint: str
    dynamic_range_db: float


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """A hospital folder, checked. Paths are absolute; `work` holds cache, memory and logs.

    max_skipped: share of the lesions that may be unusable before `index` stops.
    """

    folder: Path
    center: int
    name: str
    table: Path
    secret_file: Path
    work: Path
    max_skipped: float
    screens: tuple[Screen, ...]
    policy: Policy


def load_site(folder: Path) -> SiteConfig:
    """Reads FOLDER/site.yaml. Raises FaultList with every fault of the file and its line."""
    try:
        document = read_lined_yaml(folder / SITE_FILE)
    except LinedYamlError as error:
        remedy = "compare it with configs/site.example.yaml"
        raise FaultList([_fault(error.line, "", error.rule, "", remedy)]) from None
    faults = list(_repeated(document))
    try:
        checked = _SiteFile.model_validate(document.values)
    except ValidationError as error:
        raise FaultList(sorted([*faults, *_invalid(error, document)], key=lambda f: f.row or 0)) from None
    if faults:
        raise FaultList(faults)
    return checked.site(folder.resolve())


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


# What follows is the file's form; the rest of the client sees the frozen types above.

_Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
_Whole = Annotated[int, Field(strict=True)]
_Pixels = Annotated[int, Field(strict=True, ge=0, le=16384)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Panel = tuple[_Pixels, _Pixels, _Pixels, _Pixels]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ScreenFile(_Form):
    manufacturer: _Text
    rows: Annotated[_Pixels, Field(ge=16)]
    columns: Annotated[_Pixels, Field(ge=16)]
    contrast: _Panel
    bmode: _Panel | None = None
    tint: _Text = "grey"
    dynamic_range_db: Annotated[_Number, Field(ge=20, le=120)] = 60.0

    @model_validator(mode="after")
    def _panes_inside(self) -> _ScreenFile:
        for name, box in (("contrast", self.contrast), ("bmode", self.bmode)):
            if box is not None and not (box[0] < box[2] <= self.columns and box[1] < box[3] <= self.rows):
                raise ValueError(f"{name} is [x0, y0, x1, y1] with x0 < x1 <= columns and y0 < y1 <= rows")
        return self

    def screen(self) -> Screen:
        any_maker = self.manufacturer.strip() == ANY_MAKER
        name = ANY_MAKER if any_maker else manufacturer_name(self.manufacturer)
        return Screen(name, self.rows, self.columns, self.contrast, self.bmode, self.tint, self.dynamic_range_db)


class _PolicyFile(_Form):
    kinds: tuple[TaskKind, ...] = TASK_KINDS
    max_epochs: Annotated[_Whole, Field(ge=0, le=1000)] = 10
    max_learning_rate: Annotated[_Number, Field(ge=0)] = 1.0
    minimum_lesions: Annotated[_Whole, Field(ge=1)] = 1


class _SiteFile(_Form):
    version: Annotated[Literal[1], Field(alias="schema")]
    center: Annotated[_Whole, Field(ge=1, le=52)]
    name: _Text
    table: _Text = "lesions.csv"
    secret_file: _Text = "secret.key"
    work: _Text = ".ceus"
    max_skipped: Annotated[_Number, Field(ge=0, le=1)] = 0.2
    screens: tuple[_ScreenFile, ...] = ()
    policy: _PolicyFile = _PolicyFile()

    def site(self, folder: Path) -> SiteConfig:
        return SiteConfig(
            folder=folder,
            center=self.center,
            name=self.name,
            table=folder / self.table,
            secret_file=folder / self.secret_file,
            work=folder / self.work,
            max_skipped=self.max_skipped,
            screens=tuple(screen.screen() for screen in self.screens),
            policy=Policy(**self.policy.model_dump()),
        )


_REMEDIES = {
    "extra_forbidden": "remove the key, or correct its spelling",
    "missing": "add the key; configs/site.example.yaml shows it",
}


def _fault(line: int | None, column: str, rule: str, value: str, remedy: str) -> Fault:
    return Fault(SITE_FILE, line, column, "bad-site-file", rule, value, remedy)


def _repeated(document: LinedYaml) -> Iterator[Fault]:
    for path, line in document.repeated:
        yield _fault(line, _dotted(path), "a key stands once", "it twice", "remove one of the two")


def _invalid(error: ValidationError, document: LinedYaml) -> Iterator[Fault]:
    for item in error.errors(include_url=False, include_context=False):
        kind, path = item["type"], item["loc"]
        rule = item["msg"].removeprefix("Value error, ")
        unshown = kind in ("missing", "extra_forbidden", "value_error")
        value = "" if unshown else _brief(item["input"])
        remedy = _REMEDIES.get(kind, "correct the value; configs/site.example.yaml shows one")
        yield _fault(document.line_of(path), _dotted(path), rule, value, remedy)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _dotted(path: Key) -> str:
    return ".".join(map(str, path))
