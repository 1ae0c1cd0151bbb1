"""`federation.yaml`: the sites that may join a federation, and the address of its coordinator."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ceus_models.pki.enrolment import Name
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document

PLAN_FILE = "plan.yaml"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_Port = Annotated[int, Field(ge=1, le=65535)]
_Days = Annotated[int, Field(ge=2, le=3650)]


class Addressed(BaseModel):
    """What sites dial. address: host:port."""

    address: str

    @property
    def host(self) -> str:
        """The name or IP address, without brackets."""
        return split_address(self.address)[0]

    @property
    def port(self) -> int:
        """The front door's port."""
        return split_address(self.address)[1]


class Federation(Addressed):
    """The file's content. address: host:port for the sites; names: further names and addresses of the same machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[Literal[1], Field(alias="schema")]
    name: Name
    names: tuple[str, ...] = ()
    plan: Annotated[str, Field(min_length=1)] = PLAN_FILE
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    sites: tuple[Name, ...] = ()
    server_days: _Days = 365
    site_days: _Days = 365
    superlink_port: _Port = 8000
    largest_piece_mb: Annotated[int, Field(ge=8, le=4096)] = 64

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        fits = (":" in bare) == (bare != host)  # brackets stand around IPv6 addresses, and around nothing else
        if not port.isdecimal() or not 1 <= int(port) <= 65535 or not fits or not _is_host(bare):
            raise ValueError(
                f"address must be host:port, such as fl.example.org:443, 192.0.2.7:443 or [2001:db8::7]:443, not "
                f"{address!r}"
            )
        return address

    @field_validator("names")
    @classmethod
    def _hosts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in names if not _is_host(name)]
        if wrong:
            raise ValueError(f"a name is a DNS name or an IP address without port, found {', '.join(map(repr, wrong))}")
        return names

    @field_validator("sites")
    @classmethod
    def _check_sites(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({site for site in sites if sites.count(site) > 1})
        if twice:
            raise ValueError(f"a site stands once, found {', '.join(twice)} twice; delete one")
        return sites


def split_address(address: str) -> tuple[str, int]:
    """Host, without brackets, and port.

    >>> split_address("[2001:db8::7]:443")
    ('2001:db8::7', 443)
    """
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, not a name.

    >>> is_address("192.0.2.7"), is_address("fl.example.org")
    (True, False)
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def load_federation(path: Path) -> Federation:
    """Read the file. Raises FaultList with every fault of it and its line."""
    document = read_yaml_with_lines(path, "bad-federation-file")
    return validate_document(document, _of_values)


def _of_values(values: Any) -> Federation:
    return Federation.model_validate_json(json.dumps(values, default=str), strict=True)


def _is_host(host: str) -> bool:
    numeric = re.fullmatch(r"[\d.]+", host)
    return (is_address(host) and "%" not in host) or (not numeric and len(host) <= 253 and bool(_HOST.fullmatch(host)))
