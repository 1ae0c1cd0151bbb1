"""Every package that is declared is imported, every import is declared, and each role installs what it needs alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires

import pytest
from deployment_files import ROOT, checked, tool
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PACKAGES = {"coordinator": ("ceus_models", "server"), "site": ("ceus_models", "client")}
PACKAGES["sim"] = ("ceus_models", "client", "server", "sim")
IMAGING = {"av", "opencv-python-headless", "pydicom", "imagecodecs", "nibabel", "highdicom"}


def names(requirements: Iterable[str]) -> set[str]:
    """The distributions that are required; one of ours with an extra stands for what that extra requires."""
    found: set[str] = set()
    for requirement in requirements:
        if ours := re.fullmatch(r"fedceus\[([\w,]+)\]", requirement):
            found |= {name for extra in ours[1].split(",") for name in names(EXTRAS[extra])}
        else:
            found.add(canonicalize_name(Requirement(requirement).name))
    return found


def installed_by(extra: str) -> set[str]:
    """What `pip install 'fedceus[extra]'` is asked for."""
    return names(PROJECT["dependencies"]) | names(EXTRAS[extra])


def imported_by(packages: Iterable[str]) -> dict[str, set[str]]:
    """Each module of others, and where it is imported."""
    found: dict[str, set[str]] = {}
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        for module in {name.partition(".")[0] for name in plain | named} - sys.stdlib_module_names - {*PACKAGES["sim"]}:
            found.setdefault(module, set()).add(str(path.relative_to(ROOT)))
    return found


def test_what_is_declared_is_imported_and_what_is_imported_is_declared() -> None:
    checked(tool("deptry"), ".", cwd=ROOT)


@pytest.mark.parametrize("extra", PACKAGES)
def test_a_role_installs_what_its_code_imports(extra: str) -> None:
    distributions, declared = packages_distributions(), installed_by(extra)
    for module, places in imported_by(PACKAGES[extra]).items():
        known = {canonicalize_name(name) for name in distributions.get(module, [module])}
        assert known & declared, f"{module} in {sorted(places)[:3]} is not in fedceus[{extra}]"


def test_the_coordinator_installs_no_imaging_library() -> None:
    """Nor does anything that it requires, as what is installed here says of itself."""
    found, waiting = set[str](), installed_by("coordinator")
    assert {"flwr", "torch", "cryptography"} <= waiting & installed_by("site")
    assert waiting | installed_by("site") <= installed_by("sim")
    while waiting:
        found |= waiting
        listed = [Requirement(line) for name in waiting for line in requires(name) or ()]
        here = [one for one in listed if one.marker is None or one.marker.evaluate({"extra": ""})]
        waiting = {canonicalize_name(one.name) for one in here} - found
    assert len(found) > 40
    assert not found & IMAGING


@pytest.mark.slow
def test_the_coordinator_starts_without_the_sites_libraries() -> None:
    """Every module of the coordinator's side is imported while none of the libraries left out can be."""
    absent = set(imported_by(PACKAGES["site"])) - set(imported_by(PACKAGES["coordinator"]))
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES["coordinator"]
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    brought = {"httpx", "PIL"}  # by Flower and torchvision
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(absent - brought)!r}))\n"  # None makes an import fail
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    quiet = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"av", "cv2", "pydicom", "imagecodecs"} <= absent
