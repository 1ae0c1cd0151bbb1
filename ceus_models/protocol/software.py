"""The software that answers: versions, and digests of what is installed, as a site states them."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from ceus_models.protocol.installed_package import compute_distributions_digest, compute_package_digest

_STRICT = ConfigDict(extra="forbid")
_Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z.+!_-]{1,40}$")]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_SHOWN = 12


@checked(frozen=True, config=_STRICT)
class Software:
    """What a site runs.

    Args:
        package: digest of the files of the installed fedceus.
        installed: digest of names and versions of all that is installed.
    """

    fedceus: _Version
    package: _Digest
    python: _Version
    torch: _Version
    installed: _Digest

    def describe(self) -> str:
        """In one line."""
        own = f"fedceus {self.fedceus} ({self.package[:_SHOWN]}), Python {self.python}, torch {self.torch}"
        return f"{own}, all installed {self.installed[:_SHOWN]}"


@checked(frozen=True, config=_STRICT)
class RequiredSoftware:
    """What a plan requires of every site; None for anything.

    Args:
        package: digest of the files of the installed fedceus.
    """

    fedceus: _Version | None = None
    package: _Digest | None = None

    def find_mismatch(self, found: Software) -> str | None:
        """What is required and not found, with the remedy; None where all fits."""
        if self.fedceus not in (None, found.fedceus):
            return f"the plan requires fedceus {self.fedceus}, found {found.fedceus}; install that version"
        if self.package and self.package != found.package:
            return (
                f"the plan requires the installed package {self.package[:_SHOWN]}, found {found.package[:_SHOWN]}; "
                "install the file that the coordinator sent"
            )
        return None


def read_software() -> Software:
    """What is installed here."""
    return Software(
        fedceus=metadata.version("fedceus"),
        package=compute_package_digest(),
        python=platform.python_version(),
        torch=metadata.version("torch"),
        installed=compute_distributions_digest(),
    )
