"""`policy.yaml`: read at every task, so that a change holds at once and a faulty file lets nothing pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ceus_models.runtime.errors import FaultList
from ceus_models.runtime.yaml_lines import read_yaml_with_lines, validate_document
from client.policy.policy import Policy

POLICY_FILE = "policy.yaml"
_POLICY = TypeAdapter(Policy)


def load_policy(folder: Path) -> Policy:
    """Reads FOLDER/policy.yaml. Raises FaultList with every fault of the file and its line."""
    document = read_yaml_with_lines(folder / POLICY_FILE, "bad-policy-file")
    return validate_document(document, _POLICY.validate_python, "the policy.yaml that `ceus-site init` writes")


def policy_values(policy: Policy) -> dict[str, Any]:
    """Every setting in force, those included that the file leaves at their default: for the audit."""
    values: dict[str, Any] = _POLICY.dump_python(policy, mode="json")
    return {
        **values,
        "studies": "any" if values["studies"] is None else values["studies"],
        "nets": "any" if values["nets"] is None else values["nets"],
    }


@dataclass(frozen=True)
class PolicyVersion:
    """The file as it stands: its SHA-256 ("" where it cannot be read), and the policy or its faults."""

    digest: str
    policy: Policy | None
    faults: FaultList | None = None


@dataclass
class PolicyFile:
    """The file of a folder, parsed again only when its bytes differ from those of the last look."""

    folder: Path
    _seen: PolicyVersion | None = field(default=None, init=False)

    def load_current(self) -> PolicyVersion:
        """The file as it is now. Raises nothing: faults are in the edition."""
        digest = self._compute_digest()
        if self._seen is None or self._seen.digest != digest:
            self._seen = self._read(digest)
        return self._seen

    def _compute_digest(self) -> str:
        try:
            return hashlib.sha256((self.folder / POLICY_FILE).read_bytes()).hexdigest()
        except OSError:
            return ""

    def _read(self, digest: str) -> PolicyVersion:
        try:
            return PolicyVersion(digest, load_policy(self.folder))
        except FaultList as faults:
            return PolicyVersion(digest, None, faults)
