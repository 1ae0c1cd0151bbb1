"""The files of `docker/`, read as the tools that use them would."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
CHART = DOCKER / "helm" / "ceus-coordinator"
PROGRAMS = Path(sys.executable).parent
CONSOLE_FILE = "compose.coordinator.console.yaml"
SETTINGS = {"CEUS_SITE": "site-01", "CEUS_FOLDER": "/srv/ceus/site-01", "CEUS_STUDY": "/srv/study", "CEUS_PORT": "443"}

Unit = Mapping[str, Mapping[str, list[str]]]


def checked(*command: str | Path, **options: Any) -> str:
    """What a tool says; its complaints fail the test that asked."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name: str) -> Path:
    """A program of the extras `dev` and `helm`; it comes by pip, so that no test passes for want of it."""
    path = PROGRAMS / name
    assert path.exists(), f"{name} is missing: run `make setup` (or `make helm`)"
    return path


def compose(name: str, **settings: str) -> dict[str, Any]:
    """A compose file with these settings, or else those above, for its variables, as compose resolves them."""

    def setting(match: re.Match[str]) -> str:
        variable, how, default = match.groups()
        return {**SETTINGS, **settings}.get(variable) or (default if how == "-" else "")

    text = (DOCKER / name).read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", setting, text))
    return found


def services() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each service: its file, its name, what it says. Of the console's file the console: the rest adds to another."""
    for name in ("compose.site.yaml", "compose.coordinator.yaml", CONSOLE_FILE):
        for service, said in compose(name)["services"].items():
            if name != CONSOLE_FILE or service == "console":
                yield name, service, said


def mounts(service: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What is mounted, by its place in the container; a tmpfs of the short form is one too."""
    listed = {mount["target"]: mount for mount in service.get("volumes", [])}
    memory = {line.partition(":")[0]: {"type": "tmpfs", "options": line} for line in service.get("tmpfs", [])}
    return {**listed, **memory}


def unit(name: str) -> Unit:
    """A unit file: section, key, values in their order."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in (DOCKER / "systemd" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[section][key].append(value)
    return sections


def units() -> list[str]:
    """The services' names."""
    return sorted(path.name for path in (DOCKER / "systemd").glob("*.service"))


def rendered(values: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The chart's objects by kind, rendered by Helm itself, in a process of its own (it is a Go library)."""
    program = (
        "import helm_python, json, sys; values = json.load(sys.stdin); chart = helm_python.Chart.load(sys.argv[1]); "
        "chart.validate_schema(values); print(json.dumps(chart.render(values, name='r')))"
    )
    said = checked(sys.executable, "-c", program, CHART, input=json.dumps(values or {}))
    found = [document for text in json.loads(said).values() for document in yaml.safe_load_all(text) if document]
    return {document["kind"]: document for document in found}


def refused(values: Mapping[str, Any]) -> bool:
    """Whether the chart's schema turns values down."""
    try:
        rendered(values)
    except AssertionError as error:
        return "- at '" in str(error)  # how the schema names the place
    return False


def words(command: str | Sequence[str]) -> list[str]:
    """A command as a list, whatever form it stands in."""
    return command.split() if isinstance(command, str) else list(command)
