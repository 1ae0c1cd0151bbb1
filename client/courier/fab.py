"""What is inside a Flower bundle, looked at in memory only: run settings and a study that the coordinator signed.

Whatever else one holds is a refusal, and one that the federation's CA did not sign is an alarm.

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

from ceus_models.pki.certificates import extract_key, parse_certificate
from ceus_models.pki.enrolment import Kit
from ceus_models.pki.keys import PublicKey
from ceus_models.pki.offered_study import STUDY_FILE, ForeignStudyError, OfferedStudy, verify_study
from ceus_models.pki.signed_documents import DocumentError
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.humanize import is_printable
from ceus_models.runtime.yaml_lines import format_key

Setting = str | int | float | bool
SETTINGS_FILE, LISTING = "pyproject.toml", ".info/CONTENT"
_LISTED = (SETTINGS_FILE, STUDY_FILE)
CLIENT_APP = "client.courier.client_app:app"
PER_RUN = ("plan", "out", "seed", "sites")
"""Settings that may differ from run to run; they mean something at the coordinator only."""

LARGEST = 1 << 17
"""Bytes of a bundle, and of each of its files; one with the paper's plan has 6,000."""
_CODE = (".py", ".pyc", ".pyd", ".so", ".pth", ".dll", ".dylib", ".whl", ".egg", ".zip", ".pkl", ".pt", ".sh")
_OURS = ("ceus_models", "client", "server", "sim", "flwr", "torch", "numpy", "cryptography", "pydantic")


class BundleFault(ExpectedError):
    """A bundle that must not run; the text says the cause and the remedy."""


class ForeignBundleError(BundleFault):
    """A bundle that did not come from this federation's coordinator, or was changed on the way: an alarm."""


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
class Trust:
    """Whose bundles this site looks at: those of its federation, signed with this key of the CA."""

    federation: str
    ca_key: PublicKey


def find_trust(kit: Kit) -> Trust:
    """The trust that a kit gives, which was verified when it was installed."""
    what = "the kit's CA certificate"
    return Trust(kit.federation, extract_key(parse_certificate(kit.ca_certificate.encode(), what), what))


@dataclass(frozen=True)
class Contents:
    """A bundle of this federation's coordinator.

    Args:
        sha256: of the whole bundle.
        files: name → SHA-256.
        settings: run settings and their values.
        study: that it offers.
    """

    sha256: str
    files: Mapping[str, str]
    settings: Mapping[str, Setting]
    study: OfferedStudy


def contents_of(bundle: bytes, trust: Trust) -> Contents:
    """Look into a bundle.

    Raises:
        ForeignBundleError: it did not come from the coordinator.
        BundleFault: it is damaged, of another version, or says two things at once.
    """
    files = _files(bundle)
    settings = _settings(files[SETTINGS_FILE])
    study = _verify(files, trust)
    if (settings.get("federation"), settings.get("plan-digest")) != (study.federation, study.plan_digest):
        raise BundleFault(
            "the bundle's settings name another plan or federation than its study; ask the coordinator for a new one"
        )
    names = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return Contents(hashlib.sha256(bundle).hexdigest(), names, settings, study)


def _verify(files: Mapping[str, bytes], trust: Trust) -> OfferedStudy:
    """The study, signed together with the settings."""
    try:
        study = verify_study(files[STUDY_FILE], "the bundle's study", trust.federation, trust.ca_key)
    except ForeignStudyError as error:
        raise ForeignBundleError(str(error)) from None
    except DocumentError as error:
        raise BundleFault(str(error)) from None
    if hashlib.sha256(files[SETTINGS_FILE]).hexdigest() != study.settings:
        raise ForeignBundleError(
            "expected the run settings that the coordinator signed, the bundle has others: somebody changed it. Do not "
            "approve it, and tell the coordinator by telephone"
        )
    return study


def _files(bundle: bytes) -> dict[str, bytes]:
    if len(bundle) > LARGEST:
        raise BundleFault(f"the bundle has {len(bundle)} bytes; one of ours has fewer than {LARGEST}")
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            entries = archive.infolist()
            _check_names([entry.filename for entry in entries])
            if any(entry.file_size > LARGEST for entry in entries):
                raise BundleFault(f"a file of the bundle unfolds to more than {LARGEST} bytes; do not approve it")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, EOFError, OSError):
        raise BundleFault("the bundle is no whole zip archive; ask for it to be sent again") from None
    listing = "\n".join(f"{name},{hashlib.sha256(files[name]).hexdigest()},{len(files[name]) * 8}" for name in _LISTED)
    if files[LISTING] != listing.encode():
        raise BundleFault("the bundle's own listing does not fit its content; ask for it to be sent again")
    return files


def _check_names(names: list[str]) -> None:
    remedy = "our bundle carries no code: do not approve it, and ask the coordinator what it is for"
    top = {name.replace("\\", "/").lstrip("./").split("/")[0].split(".")[0] for name in names} - {
        "pyproject",
        "info",
        "study",
    }
    if shadowing := sorted(top & set(_OURS)):
        raise ForeignBundleError(
            f"the bundle holds {', '.join(shadowing)}, which would run in place of what is installed; {remedy}"
        )
    if code := [name for name in names if name.lower().endswith(_CODE)]:
        raise ForeignBundleError(f"the bundle holds code ({_join_names(code)}); {remedy}")
    if sorted(names) == sorted((SETTINGS_FILE, LISTING)):
        raise BundleFault(
            f"the bundle has no {STUDY_FILE}, so it does not say what the study asks: the coordinator runs "
            "`ceus-coordinator init` with this version of fedceus and sends the new one"
        )
    if sorted(names) != sorted((*_LISTED, LISTING)):
        raise ForeignBundleError(
            f"the bundle holds {_join_names(names)}, and must hold {', '.join(_LISTED)} and {LISTING} once; {remedy}"
        )


def _settings(content: bytes) -> Mapping[str, Setting]:
    remedy = "ask the coordinator for a bundle of the same version of fedceus"
    try:
        read: Any = tomllib.loads(content.decode())
        if not is_printable(read):
            raise BundleFault(f"the bundle's {SETTINGS_FILE} holds control characters: do not approve it")
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
