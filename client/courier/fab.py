"""What is inside a Flower bundle, looked at in memory only. Ours holds settings; whatever else one holds is a refusal.

Nothing is unpacked to a path and nothing is imported, here or later: the courier runs the installed
client.courier.client_app.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ceus_models.plan.terms.participation import USUAL_SITES
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import format_key

Setting = str | int | float | bool
SETTINGS_FILE, LISTING = "pyproject.toml", ".info/CONTENT"
CLIENT_APP = "client.courier.client_app:app"
PER_RUN = ("plan", "out", "seed", "sites")
"""Settings that may differ from run to run; they mean something at the coordinator only."""

_LARGEST = 1 << 16  # ours has a kilobyte
_CODE = (".py", ".pyc", ".pyd", ".so", ".pth", ".dll", ".dylib", ".whl", ".egg", ".zip", ".pkl", ".pt", ".sh")
_OURS = ("ceus_models", "client", "server", "sim", "flwr", "torch", "numpy", "cryptography", "pydantic")


class BundleFault(ExpectedError):
    """A bundle that must not run; the text says the cause and the remedy."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Project(_Form):
    name: Literal["fedceus"]
    version: str
    description: str
    license: str


class _Components(_Form):
    serverapp: str
    clientapp: Literal["client.courier.client_app:app"]


class _App(_Form):
    publisher: Literal["fedceus"]
    components: _Components
    config: dict[str, Setting]


class _Flower(_Form):
    app: _App


class _Tool(_Form):
    flwr: _Flower


class _Settings(_Form):
    project: _Project
    tool: _Tool


@dataclass(frozen=True)
class Contents:
    """sha256: of the whole bundle · files: name → SHA-256 · settings: run settings and their values."""

    sha256: str
    files: Mapping[str, str]
    settings: Mapping[str, Setting]

    @property
    def federation(self) -> str:
        """The id of the federation that it is for; "" if it says none."""
        return str(self.settings.get("federation", ""))

    @property
    def least_sites(self) -> int:
        """How many sites must be counted in every round; 0 if it does not say."""
        found = self.settings.get("least-sites", 0)
        return found if type(found) is int else 0

    @property
    def shortage(self) -> str:
        """Why fewer sites than usual are a risk to each; "" if no round has fewer."""
        if self.least_sites >= USUAL_SITES:
            return ""
        if not self.least_sites:
            return "the bundle does not say how many sites a round needs: ask the coordinator"
        return (
            f"a round counts with the sums of {self.least_sites} site{'s' * (self.least_sites > 1)}, "
            f"{USUAL_SITES} are usual: with fewer, the others can work out what this hospital gave"
        )


def contents_of(bundle: bytes) -> Contents:
    """Raises BundleFault for a bundle that holds anything but run settings in our form."""
    files = _files(bundle)
    settings = _settings(files[SETTINGS_FILE])
    names = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return Contents(hashlib.sha256(bundle).hexdigest(), names, settings)


def _files(bundle: bytes) -> dict[str, bytes]:
    if len(bundle) > _LARGEST:
        raise BundleFault(
            f"the bundle has {len(bundle)} bytes; one that carries settings only has fewer than {_LARGEST}"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            entries = archive.infolist()
            _check_names([entry.filename for entry in entries])
            if any(entry.file_size > _LARGEST for entry in entries):
                raise BundleFault(f"a file of the bundle unfolds to more than {_LARGEST} bytes; do not approve it")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, EOFError, OSError):
        raise BundleFault("the bundle is no whole zip archive; ask for it to be sent again") from None
    text = files[SETTINGS_FILE]
    listing = f"{SETTINGS_FILE},{hashlib.sha256(text).hexdigest()},{len(text) * 8}"
    if files[LISTING] != listing.encode():
        raise BundleFault("the bundle's own listing does not fit its content; ask for it to be sent again")
    return files


def _check_names(names: list[str]) -> None:
    remedy = "our bundle carries no code: do not approve it, and ask the coordinator what it is for"
    top = {name.replace("\\", "/").lstrip("./").split("/")[0].split(".")[0] for name in names} - {"pyproject", "info"}
    if shadowing := sorted(top & set(_OURS)):
        raise BundleFault(
            f"the bundle holds {', '.join(shadowing)}, which would run in place of what is installed; {remedy}"
        )
    if code := [name for name in names if name.lower().endswith(_CODE)]:
        raise BundleFault(f"the bundle holds code ({_join_names(code)}); {remedy}")
    if sorted(names) != sorted((SETTINGS_FILE, LISTING)):
        raise BundleFault(
            f"the bundle holds {_join_names(names)}, and must hold {SETTINGS_FILE} and {LISTING} once; {remedy}"
        )


def _settings(content: bytes) -> Mapping[str, Setting]:
    remedy = "ask the coordinator for a bundle of the same version of fedceus"
    try:
        read: Any = tomllib.loads(content.decode())
        found = _Settings.model_validate(read)
    except ValidationError as error:
        place = format_key(error.errors()[0]["loc"])[:100]
        raise BundleFault(f"the bundle's {SETTINGS_FILE} is not in our form at {place!r}; {remedy}") from None
    except (ValueError, RecursionError):
        raise BundleFault(f"the bundle's {SETTINGS_FILE} is no TOML; {remedy}") from None
    return found.tool.flwr.app.config


def _join_names(names: list[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in sorted(names)[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
