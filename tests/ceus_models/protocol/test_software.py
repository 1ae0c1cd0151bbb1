from __future__ import annotations

import hashlib
from importlib import metadata

import pytest
import torch
from pydantic import ValidationError

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.installed_package import list_distributions
from ceus_models.protocol.messages import Update
from ceus_models.protocol.software import RequiredSoftware, Software, read_software

FOUND = Software("0.2.0", "ab" * 32, "3.11.9", "2.9.0+cpu", "cd" * 32)


def test_a_plan_that_requires_nothing_fits_everything() -> None:
    assert RequiredSoftware().find_mismatch(FOUND) is None
    assert RequiredSoftware("0.2.0", "ab" * 32).find_mismatch(FOUND) is None


def test_another_version_or_another_package_of_one_version_is_named_with_the_remedy() -> None:
    assert RequiredSoftware("0.3.0").find_mismatch(FOUND) == (
        "the plan requires fedceus 0.3.0, found 0.2.0; install that version"
    )
    assert "requires the installed package cdcdcdcdcdcd, found abababababab" in (
        RequiredSoftware("0.2.0", "cd" * 32).find_mismatch(FOUND) or ""
    )


def test_it_travels_with_an_answer_and_holds_versions_only() -> None:
    answer = decode(to_bytes(Update("a", {"w": torch.ones(1)}, 1.0, software=FOUND)))
    assert isinstance(answer, Update)
    assert answer.software == FOUND
    assert (
        FOUND.describe() == "fedceus 0.2.0 (abababababab), Python 3.11.9, torch 2.9.0+cpu, all installed cdcdcdcdcdcd"
    )
    with pytest.raises(ValidationError):
        Software("0.2.0 on host pc-17 of Dr Smith", "ab" * 32, "3", "2", "cd" * 32)


def test_this_installation_is_read() -> None:
    found = read_software()
    assert found.torch.partition("+")[0] == torch.__version__.partition("+")[0]
    assert len(found.package) == 64
    lines = list_distributions()
    assert list(lines) == sorted(set(lines))
    assert f"torch=={metadata.version('torch')}" in lines
    assert f"pydantic-core=={metadata.version('pydantic_core')}" in lines, "one way of writing a name"
    assert found.installed == hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()
