"""The images: pinned, of two stages, without tools, secrets or root; the coordinator's without imaging libraries."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deployment_files import DOCKER, ROOT, checked, tool
from dockerfile_parse import DockerfileParser

sys.path.insert(0, str(DOCKER))
from coordinator_requirements import SITE_ONLY, requirements

FILES = ["Dockerfile.site", "Dockerfile.coordinator"]
IMPORTS = {"opencv-python-headless": "cv2", "scikit-learn": "sklearn"}


def instructions(name: str) -> list[dict[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO((DOCKER / name).read_bytes()))
    found: list[dict[str, str]] = parser.structure
    return [line for line in found if line["instruction"] != "COMMENT"]


def last_stage(name: str) -> list[dict[str, str]]:
    lines = instructions(name)
    start = max(number for number, line in enumerate(lines) if line["instruction"] == "FROM")
    return lines[start:]


@pytest.mark.parametrize("name", FILES)
def test_hadolint_has_no_complaint(name: str) -> None:
    assert checked(tool("hadolint"), "--no-color", DOCKER / name) == ""


@pytest.mark.parametrize("name", FILES)
def test_bases_are_pinned_and_take_a_digest(name: str) -> None:
    lines = instructions(name)
    arguments = {line["value"] for line in lines if line["instruction"] == "ARG"}
    assert "PYTHON_DIGEST=" in arguments
    assert any(re.fullmatch(r"PYTHON_TAG=3\.11\.\d+-slim-[a-z]+", argument) for argument in arguments)
    bases = [line["value"].split(" AS ")[0] for line in lines if line["instruction"] == "FROM"]
    assert bases == ["${PYTHON_IMAGE}:${PYTHON_TAG}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}"] * 2


@pytest.mark.parametrize("name", FILES)
def test_the_last_stage_installs_nothing_and_runs_as_nobody_special(name: str) -> None:
    lines = last_stage(name)
    runs = " ".join(line["value"] for line in lines if line["instruction"] == "RUN")
    assert not re.search(r"apt-get|apt |pip install|gcc|build-essential|curl|wget", runs)
    assert "pip uninstall --yes --quiet pip setuptools wheel" in runs
    users = [line["value"] for line in lines if line["instruction"] == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"100\d\d:100\d\d", users[0])
    copies = [line["value"] for line in lines if line["instruction"] in ("COPY", "ADD")]
    assert copies == ["--from=build /opt/fedceus /opt/fedceus"]


@pytest.mark.parametrize("name", FILES)
def test_no_installer_comes_along_with_flower(name: str) -> None:
    runs = [line["value"] for line in instructions(name) if line["instruction"] == "RUN"]
    assert re.search(r"pip install [^&]*&& pip uninstall --yes uv$", runs[0])


@pytest.mark.parametrize("name", FILES)
def test_everything_installed_is_pinned_and_ready_made(name: str) -> None:
    lines = instructions(name)
    assert any("PIP_CONSTRAINT=/src/constraints.txt" in line["value"] for line in lines if line["instruction"] == "ENV")
    runs = " ".join(line["value"] for line in lines if line["instruction"] == "RUN")
    installs = re.findall(r"pip install (.*?)(?=&&|;;|$)", runs)
    third_party = [install for install in installs if "--no-deps ." not in install]
    assert third_party
    assert all("--only-binary :all:" in install for install in third_party)  # no compiler, no set-up script of others


@pytest.mark.parametrize("name", FILES)
def test_no_secret_and_no_registry_stand_in_an_image(name: str) -> None:
    text = (DOCKER / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://", text)
    assert not re.search(r"(?i)(password|token|secret|\.key|\.pem)\b", text)
    silent = "FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1"
    environment = " ".join(line["value"] for line in last_stage(name) if line["instruction"] == "ENV")
    assert all(setting in environment for setting in silent.split())


def test_the_builder_is_sent_code_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"][
        "find"
    ]["include"]
    needed = {package.removesuffix("*") for package in packages}
    assert allowed == needed | {
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
        "docker/coordinator_requirements.py",
    }
    for name in FILES:
        copied = [line["value"] for line in instructions(name) if line["instruction"] == "COPY"]
        sources = {word for value in copied if "--from" not in value for word in value.split()[:-1]}
        assert sources <= allowed
        assert needed <= sources


def test_the_coordinators_requirements_are_ours_less_the_hospitals() -> None:
    listed = requirements(ROOT / "pyproject.toml")
    everything = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert set(listed) < set(everything)
    assert len(listed) == len(everything) - len(SITE_ONLY)
    assert {"flwr~=1.41.0", "cryptography>=44"} <= set(listed)


def test_a_name_that_is_no_dependency_any_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\ndependencies = ["flwr~=1.41.0"]\n', encoding="utf-8")
    with pytest.raises(ValueError, match="imagecodecs"):
        requirements(path)


def test_no_module_of_the_coordinator_names_a_library_of_the_hospital() -> None:
    absent = {IMPORTS.get(name, name) for name in SITE_ONLY}
    for package in ("ceus_models", "server"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
            named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not {name.partition(".")[0] for name in plain | named} & absent, path


@pytest.mark.slow
def test_the_coordinator_starts_without_the_hospitals_libraries() -> None:
    """Every module of the coordinator's side is imported while none of the libraries left out can be."""
    absent = sorted(IMPORTS.get(name, name) for name in SITE_ONLY)
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("ceus_models", "server")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"  # None there makes an import fail
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    quiet = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
