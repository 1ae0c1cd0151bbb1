"""Every command that an image, a unit, a probe or a page of the documents gives is one that the programs take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from deployment_files import DOCKER, ROOT, rendered, services, unit, units, words

from ceus_models.runtime.commands.lazy_commands import LazyCommand
from client.cli.main import app as site_app
from client.service.health import app as health_app
from server.cli.main import app as coordinator_app

APPS: dict[str, click.Command] = {
    "ceus-site": site_app,
    "ceus-coordinator": coordinator_app,
    "client.service.health": typer.main.get_command(health_app),
}
PAGES = ["docs/deployment.md", "docs/operations.md", "SECURITY.md"]
OTHERS = {"nginx", "bash", "ln"}
FORMS = (
    (re.compile(r"compose\.(site|coordinator)\.yaml.* run .*\boffice (.*)$"), ""),
    (re.compile(r"\bfedceus-(site|coordinator):[\w.]+ (\w+ .*)$"), ""),
    (re.compile(r"(?:^|/bin/|-- |exec coordinator )ceus-site((?: .*)?)$"), "ceus-site"),
    (re.compile(r"(?:^|/bin/|-- |exec coordinator )ceus-coordinator((?: .*)?)$"), "ceus-coordinator"),
)


def contained() -> Iterator[tuple[str, list[str]]]:
    """What the containers run: entry point and command, and their probes."""
    for file, name, said in services():
        image = "ceus-coordinator" if "coordinator" in said["image"] else "ceus-site"
        entry = words(said.get("entrypoint", [image]))
        if not said.get("profiles"):
            yield f"{file}:{name}", [*entry, *words(said.get("command", []))]
            yield f"{file}:{name}:probe", said["healthcheck"]["test"][1:]


def served() -> Iterator[tuple[str, list[str]]]:
    """What systemd runs, for the site site-01."""
    for name in units():
        for key in ("ExecStart", "ExecReload"):
            for line in unit(name)["Service"].get(key, []):
                program, *rest = shlex.split(line.replace("%i", "site-01"))
                yield f"{name}:{key}", [Path(program).name, *rest]


def deployed() -> Iterator[tuple[str, list[str]]]:
    """What the chart's containers run, and their probes."""
    pod = rendered()["Deployment"]["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        yield f"helm:{container['name']}", container["command"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "exec" in container.get(probe, {}):
                yield f"helm:{container['name']}:{probe}", container[probe]["exec"]["command"]


def written() -> Iterator[tuple[str, list[str]]]:
    """What the pages give to be typed, in blocks of code and in the text. A `…` stands for what is left out."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        spans = [line for block in re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.S) for line in block.splitlines()]
        spans += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
        for number, span in enumerate(spans):
            for typed in _typed(span):
                yield f"{page}:{number}:{' '.join(typed[:2])}", typed


def _typed(span: str) -> Iterator[list[str]]:
    """The commands of ours in a line; those that `docker compose run` gives to the service `office` too."""
    line = re.sub(r"\s#\s.*", "", span)
    for part in re.split(r"&&|;|\||>", line):
        for form, program in FORMS:
            if found := form.search(part.strip()):
                yield [program or f"ceus-{found[1]}", *shlex.split(found[found.lastindex or 0])]
                break


def understood(typed: list[str]) -> None:
    """Parse the words as the program would, without doing anything. Raises what it would say."""
    program, *rest = typed
    if typed[:2] == ["python", "-m"]:
        program, rest = typed[2], typed[3:]
    command = APPS[program]
    context = click.Context(command, info_name=program)
    while isinstance(command, click.Group):
        if not rest or rest == ["--help"]:
            return
        name, *rest = rest[len([one for one in command.params if isinstance(one, click.Argument)]) :]
        found = command.get_command(context, name)
        assert found is not None, f"{program} has no command {name!r}"
        command = found.load() if isinstance(found, LazyCommand) else found
    if rest:  # a name alone in the text is a reference to the command
        command.make_context(program, list(rest), resilient_parsing=False)


@pytest.mark.parametrize("typed", [pytest.param(typed, id=place) for place, typed in (*contained(), *served())])
def test_what_is_started_is_a_command(typed: list[str]) -> None:
    if typed[0] not in OTHERS:
        understood(typed)


@pytest.mark.helm
def test_what_the_chart_starts_is_a_command() -> None:
    started = [typed for _, typed in deployed() if typed[0] not in OTHERS]
    for typed in started:
        understood(typed)
    assert sum(typed[:2] == ["ceus-coordinator", "up"] for typed in started) == 1


@pytest.mark.parametrize("page", PAGES)
def test_what_the_pages_give_is_a_command(page: str) -> None:
    lines = [typed for place, typed in written() if place.startswith(f"{page}:")]
    for typed in lines:
        try:
            understood([word for word in typed if word != "…"])
        except (click.ClickException, AssertionError) as error:
            pytest.fail(f"{' '.join(typed)}: {error}")
    assert lines


def test_a_command_that_is_none_would_be_found() -> None:
    with pytest.raises(AssertionError, match="no command 'sreve'"):
        understood(["ceus-site", "sreve", "/sites/site-01"])
    with pytest.raises(click.NoSuchOption):
        understood(["ceus-site", "worker", "/sites/site-01", "--sock", "/run/ceus/worker.sock"])


def test_every_part_of_a_site_is_started_in_every_way() -> None:
    parts = {typed[1] for _, typed in (*contained(), *served()) if typed[0] == "ceus-site"}
    assert parts == {"worker", "courier"}
    ups = [typed[1] for _, typed in (*contained(), *served()) if typed[0] == "ceus-coordinator"]
    assert ups.count("up") == 2


@pytest.mark.parametrize("name", ["Dockerfile.site", "Dockerfile.coordinator"])
def test_the_entry_point_is_a_program_that_is_installed(name: str) -> None:
    entry = re.search(r'^ENTRYPOINT \["([^"]+)"\]$', (DOCKER / name).read_text(encoding="utf-8"), re.M)
    assert entry is not None
    scripts = re.findall(r"^(ceus-\w+) = ", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert entry[1] in scripts
    understood([entry[1], "--help"])
