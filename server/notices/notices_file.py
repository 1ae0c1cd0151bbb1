"""`notices.yaml`: who is told what, by e-mail or a webhook, in the coordinator's folder."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ceus_models.runtime.atomic_files import write_first
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document
from server.console.sign_in.users import Role
from server.notices.kinds import OF_ROLE, Kind
from server.run_folder.paths import Home

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OTHERS = 0o077
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Address = Annotated[str, Field(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+$")]


class Smtp(BaseModel):
    """The mail server. security: `none` for this machine alone · ca_file: its CA, where it is not the system's."""

    model_config = _STRICT

    host: _Text
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: _Text | None = None
    password_file: _Text | None = None
    sender: Annotated[_Address, Field(alias="from")]
    ca_file: _Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Smtp:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("security is none on loopback alone; write starttls or tls")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together; give both or none")
        return self


class Webhook(BaseModel):
    """Where notices are posted. secret_file: of the key that signs them · ca_file: as of the mail server."""

    model_config = _STRICT

    url: Annotated[str, Field(max_length=2000)]
    secret_file: _Text | None = None
    ca_file: _Text | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if not url.isprintable() or parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
            raise ValueError("url is https://HOST/… without user or password; correct it")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("http is for this machine alone; write https")
        return url


class Recipient(BaseModel):
    """One who is told. kinds: of notices; without them those of the role."""

    model_config = _STRICT

    name: _Text
    role: Role
    email: _Address | None = None
    webhook: Webhook | None = None
    kinds: tuple[Kind, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Recipient:
        if self.email is None and self.webhook is None:
            raise ValueError("a person has an email or a webhook; add one")
        return self

    def wants(self, kind: Kind) -> bool:
        """Whether this person is told of it."""
        return kind in (OF_ROLE[self.role] if self.kinds is None else self.kinds)


class Notices(BaseModel):
    """The file's content. gone_after_minutes: so long a site is absent before it is told of."""

    model_config = _STRICT

    version: Annotated[Literal[1], Field(alias="schema")]
    gone_after_minutes: Annotated[int, Field(ge=1, le=10080)] = 15
    smtp: Smtp | None = None
    people: Annotated[tuple[Recipient, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Notices:
        names = [person.name for person in self.people]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names of people differ, found {', '.join(twice)} twice; rename one")
        if self.smtp is None and any(person.email for person in self.people):
            raise ValueError("e-mail needs a mail server; add smtp")
        return self


def load_notices(home: Home) -> Notices:
    """Read the file. Raises ExpectedError where others may read it; FaultList with every fault of it and its line."""
    document = read_yaml_with_lines(home.notices, "bad-notices-file")
    _require_private(home.notices)
    return validate_document(document, _of_values, f"`ceus-coordinator notices {home.folder} example`")


def read_secret(home: Home, file: str) -> str:
    """The one line of a file that only its owner may read. Raises ExpectedError."""
    path = home.folder / file
    try:
        secret = path.read_text(encoding="utf-8").strip()
        _require_private(path)
    except (OSError, UnicodeDecodeError):
        raise ExpectedError(f"a file with one line of text is expected at {path}, found none; write it") from None
    if not secret or not secret.isprintable():
        raise ExpectedError(f"one line of text is expected in {path}, found none or more; write it anew")
    return secret


def write_example(home: Home) -> None:
    """Write an example of the file. Raises ExpectedError where the file is there."""
    if home.notices.exists():
        raise ExpectedError(f"nothing is overwritten, and {home.notices} is there; change it in an editor")
    write_first(home.notices, resources.files("server.notices").joinpath("notices.example.yaml").read_bytes())


def _require_private(path: Path) -> None:
    if path.stat().st_mode & _OTHERS:
        raise ExpectedError(f"only its owner may read {path}, found that others may; run `chmod 600` on it")


def _of_values(values: Any) -> Notices:
    return Notices.model_validate_json(json.dumps(values, default=str), strict=True)
