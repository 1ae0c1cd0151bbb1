"""`console.yaml`: how people sign in to the coordinator's console, and what each role may download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document
from server.run_folder.paths import Home

PersonRole = Literal["coordinator", "researcher"]
"""Roles of people; machines have the role monitor."""
_Text = Annotated[str, Field(min_length=1, max_length=500)]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OTHERS = 0o077


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OpenIdSettings(_Part):
    """The OpenID provider of an organisation.

    Args:
        issuer: its address, as its discovery document states it.
        client_id: under which the console is registered there.
        secret_file: with the client's secret, in the coordinator's folder; none for a public client.
        scopes: asked for, beside openid.
        groups_claim: the claim that lists a person's groups.
        name_claim: the claim that people are called by; `sub` where it is missing.
        roles: of the console, each with the groups that have it; the first that fits counts.
        ca_file: certificates to trust in place of the public ones.
    """

    issuer: _Text
    client_id: _Text
    secret_file: _Text | None = None
    scopes: tuple[_Text, ...] = ("profile",)
    groups_claim: _Text = "groups"
    name_claim: _Text = "preferred_username"
    roles: Annotated[dict[PersonRole, tuple[_Text, ...]], Field(min_length=1)]
    ca_file: _Text | None = None

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, issuer: str) -> str:
        return check_url(issuer, "issuer")


class ConsoleSettings(_Part):
    """The file's content.

    Args:
        url: where browsers find the console; needed for OpenID Connect.
        second_factor: roles that sign in by a token and must give a code beside it.
        download: roles that may download report, tables and model.
    """

    version: Annotated[Literal[1], Field(alias="schema")] = 1
    url: _Text | None = None
    second_factor: tuple[PersonRole, ...] = ()
    download: tuple[PersonRole, ...] = ("coordinator",)
    openid: OpenIdSettings | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        return None if url is None else check_url(url, "url").rstrip("/")

    @model_validator(mode="after")
    def _check_address(self) -> ConsoleSettings:
        if self.openid and not self.url:
            raise ValueError("openid needs url, the address of the console that its provider sends people back to")
        return self

    @property
    def host(self) -> tuple[str, ...]:
        """The host of `url`, if there is one."""
        host = urlsplit(self.url).hostname if self.url else None
        return (host,) if host else ()

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the console by TLS alone."""
        return bool(self.url and self.url.startswith("https:"))


def load_console_settings(home: Home) -> ConsoleSettings:
    """Read the file; without one everything has its default. Raises FaultList with every fault of it and its line."""
    if not home.console_settings.exists():
        return ConsoleSettings()
    document = read_yaml_with_lines(home.console_settings, "bad-console-file")
    return validate_document(document, _of_values)


def read_client_secret(home: Home, openid: OpenIdSettings) -> str | None:
    """The client's secret. Raises ExpectedError for a file that others may read, or that is missing."""
    if openid.secret_file is None:
        return None
    path = home.folder / openid.secret_file
    try:
        if path.stat().st_mode & _OTHERS:
            raise ExpectedError(f"others may read {path}: run `chmod 600` on it, and get a new secret of the provider")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ExpectedError(f"{path} must hold the client's secret, but cannot be read; correct secret_file") from None


def find_ca_file(home: Home, openid: OpenIdSettings) -> Path | None:
    """The certificates that the provider's is checked against; None: the public ones."""
    return home.folder / openid.ca_file if openid.ca_file else None


def _of_values(values: Any) -> ConsoleSettings:
    return ConsoleSettings.model_validate_json(json.dumps(values or {}, default=str), strict=True)


def check_url(url: str, name: str, query: bool = False) -> str:
    """An address with TLS, or on loopback. query: it may have one. Raises ValueError."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or (parts.query and not query) or parts.fragment or parts.username:
        raise ValueError(f"{name} must be an address with https (http on loopback alone), not {url[:80]!r}")
    return url
