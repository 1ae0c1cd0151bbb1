"""The images: pinned, of two stages, without tools, secrets or root; the coordinator's without imaging libraries."""

from __future__ import annotations

import io
import re
import tomllib

import pytest
from deployment_files import DOCKER, ROOT, checked, tool
from dockerfile_parse import DockerfileParser

FILES = ["Dockerfile.site", "Dockerfile.coordinator"]


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
    assert re.search(r"wheels.lock +&& pip --python /opt/fedceus/bin/python uninstall --yes uv +&& ", runs[0])


@pytest.mark.parametrize("name", FILES)
def test_everything_installed_is_pinned_and_ready_made(name: str) -> None:
    lines = instructions(name)
    assert any("PIP_CONSTRAINT=/src/constraints.txt" in line["value"] for line in lines if line["instruction"] == "ENV")
    runs = " ".join(line["value"] for line in lines if line["instruction"] == "RUN")
    calls = re.findall(r"\bpip (?:--python \S+ )?(install|download) (.*?)(?=&&|;;|$)", runs)
    assert [word for word, _ in calls] == ["download", "download", "install", "install"]
    into_image = "--no-index --find-links /wheels --require-hashes"
    assert all("--only-binary :all:" in words or into_image in words for _, words in calls)  # no set-up script
    assert [into_image in words for _, words in calls] == [False, False, True, False]
    assert "cyclonedx-py environment" in runs


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
        "docker/lock_wheels.py",
    }
    for name in FILES:
        copied = [line["value"] for line in instructions(name) if line["instruction"] == "COPY"]
        sources = {word for value in copied if "--from" not in value for word in value.split()[:-1]}
        assert sources <= allowed
        assert needed <= sources


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_built_from_its_roles_extra(name: str) -> None:
    runs = " ".join(line["value"] for line in instructions(name) if line["instruction"] == "RUN")
    role = name.removeprefix("Dockerfile.")
    assert f'pip download --only-binary :all: --find-links /wheels --dest /wheels "fedceus[{role}] @ file://' in runs
    assert f"lock_wheels.py /wheels {role} >/opt/fedceus/wheels.lock" in runs
