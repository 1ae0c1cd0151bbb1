"""The section `receive` of site.yaml: who may send studies to the site, how, and how much."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

_Title = Annotated[
    str, Field(strict=True, min_length=1, max_length=16, pattern=r"^[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?$")
]
"""An application entity title (PS3.5 6.2, AE): at most 16 printable characters without a backslash."""
_Path = Annotated[str, Field(strict=True, min_length=1, max_length=400)]
_Amount = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
_ACCEPTED = ConfigDict(extra="forbid", frozen=True)


class CallerForm(BaseModel):
    """A PACS or a scanner that may send. address: where it calls from; without one, from anywhere."""

    model_config = _ACCEPTED

    title: _Title
    address: str | None = None

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        return None if address is None else str(ipaddress.ip_address(address))


class TlsForm(BaseModel):
    """Files in PEM. authority: whose certificates callers must have; without it they need none."""

    model_config = _ACCEPTED

    certificate: _Path
    key: _Path
    authority: _Path | None = None


class ReceiveForm(BaseModel):
    """The whole section.

    Attributes:
        max_gib: Of all that was received and is there.
        min_free_gib: Of the disk, which stay free.
        max_clip_gib: Of one object.
        quiet_s: A study is whole when nothing of it came for so long after its last association was released.
        keep_hours: A study whose association broke off and that nobody sent again is dropped after so long.
    """

    model_config = _ACCEPTED

    title: _Title
    callers: Annotated[tuple[CallerForm, ...], Field(min_length=1, max_length=100)]
    address: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 11112
    tls: TlsForm | None = None
    max_gib: _Amount = 500.0
    min_free_gib: _Amount = 5.0
    max_clip_gib: _Amount = 2.0
    quiet_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    keep_hours: Annotated[float, Field(ge=1, le=8760)] = 72.0
    associations: Annotated[int, Field(strict=True, ge=1, le=100)] = 10

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        return str(ipaddress.ip_address(address))
