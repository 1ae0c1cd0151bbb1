"""The form of `site.yaml`, as pydantic reads it; the rest of the client sees the frozen types of site_config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from client.data.forms.columns import CLOSED, LESIONS, READS
from client.data.forms.receive_form import ReceiveForm
from client.data.forms.table_format import Encoding
from client.data.imaging.tint import BRIGHTEST, TINTS

DateOrder = Literal["day-first", "month-first"]
OutlineWord = Literal["lesion", "other"]
CHANNELS = ("red", "green", "blue")


def _as_text(value: object) -> object:
    """YAML reads 1 and yes as a number and a truth; in a table both are words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def _for_both_tables(value: object) -> object:
    """One encoding is that of both tables."""
    return {"table": value, "reads": value} if isinstance(value, str) else value


def _for_lesions(value: object) -> object:
    """A single header row is that of the lesions' table: `reads.csv` as `ceus-site init` writes it has no title."""
    return {"table": value} if isinstance(value, int) else value


_Text = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
_Word = Annotated[str, BeforeValidator(_as_text), Field(strict=True, max_length=200)]
_Whole = Annotated[int, Field(strict=True)]
_Pixels = Annotated[int, Field(strict=True, ge=0, le=16384)]
_Level = Annotated[int, Field(strict=True, ge=0, le=255)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Panel = tuple[_Pixels, _Pixels, _Pixels, _Pixels]
_Labels = Annotated[dict[_Word, _Word], Field(max_length=1000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EncodingForm(_Form):
    """The encoding of each table."""

    table: Encoding = "utf-8"
    reads: Encoding = "utf-8"


_HeaderRow = Annotated[_Whole, Field(ge=1, le=1000)]


class HeaderRowForm(_Form):
    """The row of each table's header."""

    table: _HeaderRow = 1
    reads: _HeaderRow = 1


class ScreenForm(_Form):
    """A device template."""

    manufacturer: _Text
    rows: Annotated[_Pixels, Field(ge=16)]
    columns: Annotated[_Pixels, Field(ge=16)]
    contrast: _Panel
    bmode: _Panel | None = None
    tint: _Text = "grey"
    dynamic_range_db: Annotated[_Number, Field(ge=20, le=120)] = 60.0

    @model_validator(mode="after")
    def _check_panes(self) -> ScreenForm:
        for name, box in (("contrast", self.contrast), ("bmode", self.bmode)):
            if box is not None and not (box[0] < box[2] <= self.columns and box[1] < box[3] <= self.rows):
                raise ValueError(f"{name} is [x0, y0, x1, y1] with x0 < x1 <= columns and y0 < y1 <= rows")
        return self


class TintForm(_Form):
    """A colour map of a scanner: the colours of some levels, and the channel that tells the level."""

    channel: Literal["red", "green", "blue"]
    points: Annotated[tuple[tuple[_Level, _Level, _Level, _Level], ...], Field(min_length=2, max_length=256)]

    @model_validator(mode="after")
    def _check_points(self) -> TintForm:
        place = 1 + CHANNELS.index(self.channel)
        for index in (0, place):
            column = [point[index] for point in self.points]
            if column != sorted(set(column)):
                raise ValueError("points are [level, red, green, blue]; level and the telling channel rise in each")
        return self


class SiteForm(_Form):
    """The whole file."""

    version: Annotated[Literal[1], Field(alias="schema")]
    center: Annotated[_Whole, Field(ge=1, le=52)]
    name: _Text
    table: _Text = "lesions.csv"
    reads: _Text = "reads.csv"
    encoding: Annotated[EncodingForm, BeforeValidator(_for_both_tables)] = EncodingForm()
    header_row: Annotated[HeaderRowForm, BeforeValidator(_for_lesions)] = HeaderRowForm()
    dates: DateOrder | None = None
    labels: dict[_Word, _Labels] = {}
    outline_labels: Annotated[dict[_Word, OutlineWord], Field(max_length=1000)] = {}
    secret_file: _Text = "secret.key"
    work: _Text = ".ceus"
    records: _Text = "records"
    max_skipped: Annotated[_Number, Field(ge=0, le=1)] = 0.2
    screens: tuple[ScreenForm, ...] = ()
    tints: dict[_Text, TintForm] = {}
    receive: ReceiveForm | None = None

    @field_validator("tints")
    @classmethod
    def _check_file_names(cls, tints: dict[str, TintForm]) -> dict[str, TintForm]:
        if set(tints) & {*TINTS, BRIGHTEST}:
            raise ValueError(f"names of tints are others than {', '.join((*TINTS, BRIGHTEST))}")
        return tints

    @field_validator("labels")
    @classmethod
    def _check_words(cls, labels: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        columns = {column.name for column in (*LESIONS, *READS)}
        for column, words in labels.items():
            allowed = CLOSED.get(column)
            if column not in columns:
                raise ValueError(f"keys of labels are columns of the tables: {', '.join(sorted(columns))}")
            if allowed and not set(words.values()) <= {*allowed, ""}:
                raise ValueError(f'the words of {column} become one of {", ".join(allowed)}, or "" for a blank')
        return labels

    @model_validator(mode="after")
    def _check_tints(self) -> SiteForm:
        known = {*TINTS, BRIGHTEST, *self.tints}
        if any(screen.tint not in known for screen in self.screens):
            raise ValueError(f"the tint of a screen is one of {', '.join(sorted(known))}; the key tints adds others")
        return self
