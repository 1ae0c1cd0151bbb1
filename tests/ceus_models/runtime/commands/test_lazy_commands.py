"""The three programs import a command when it is called, and their `--help` imports none."""

from __future__ import annotations

import importlib
import io
from contextlib import redirect_stdout
from pathlib import Path

import click
import pytest
from loaded_modules import HEAVY, loaded
from small_hospital import SmallHospital

from ceus_models.runtime.commands.lazy_commands import LazyCommand, LazyGroup, lazy_program
from ceus_models.runtime.exit_codes import run_app
from tests.support.quick_commands import PROGRAMS, list_helps, list_quick, walk_commands

HEAVY_OF_HELP = (*HEAVY, "numpy", "flwr", "pydantic", "cv2", "starlette", "scipy", "cryptography")


def program(name: str) -> LazyGroup:
    found: LazyGroup = importlib.import_module(f"{PROGRAMS[name]}.cli.main").app
    return found


@pytest.mark.parametrize(("name", "package"), PROGRAMS.items())
def test_no_help_imports_a_library_of_its_command(name: str, package: str) -> None:
    """Half a second of processor time for each of them; benchmarks/startup.py measures it."""
    helps = list(list_helps(program(name)))
    assert len(helps) > len(program(name).commands)
    assert loaded(package, *("/".join(words) for words in helps), of=HEAVY_OF_HELP) == "code 0, loaded []"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_help_is_that_of_the_whole_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for lazy in program(name).commands.values():
        assert isinstance(lazy, LazyCommand)
        whole, quick = (
            dict(walk_commands(str(lazy.name), lazy.load())),
            dict(walk_commands(str(lazy.name), lazy.load_help())),
        )
        assert [read_help(key, one) for key, one in quick.items()] == [
            read_help(key, one) for key, one in whole.items()
        ]


def read_help(name: str, command: click.Command) -> str:
    with click.Context(command, info_name=name) as context:
        told = io.StringIO()
        with redirect_stdout(told):
            command.format_help(context, context.make_formatter())
        return told.getvalue()


def test_a_command_that_was_read_for_its_help_does_nothing() -> None:
    with pytest.raises(NotImplementedError, match="for its help alone"):
        program("ceus-coordinator").commands["stop"].load_help().main(["folder"], standalone_mode=False)  # type: ignore[attr-defined]


def test_help_after_two_dashes_is_an_argument(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_app(program("ceus-site"), ["audit", "show", "--", "--help"]) == 1
    assert "site.yaml" in capfd.readouterr().err


def test_commands_that_a_person_waits_for_load_no_library_of_pictures(tmp_path: Path) -> None:
    """A second of processor time for each of them; benchmarks/startup.py measures it."""
    for name, *arguments in list_quick(tmp_path):
        found = loaded(PROGRAMS[name], *arguments, of=(*HEAVY, "scipy", "pydicom", "av"))
        assert found == "code 0, loaded []", (name, arguments)


def test_check_loads_no_torch_and_no_matplotlib(tmp_path: Path) -> None:
    SmallHospital(tmp_path, 1).write()
    assert loaded("client", "check", tmp_path, "--html", tmp_path / "page.html") == "code 0, loaded []"


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_list_says_what_each_command_says(name: str) -> None:
    for command in program(name).commands.values():
        assert isinstance(command, LazyCommand)
        found = command.load()
        assert found.name == command.name
        assert command.summary() == found.help


def test_a_command_that_is_called_is_the_one_that_is_imported(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_app(program("ceus-site"), ["predict", "--workers", "0"]) == 2
    said = capfd.readouterr().err
    assert "predict [OPTIONS]" in said
    assert "0 is not in the range" in said


@pytest.mark.parametrize(("library", "name"), [("cv2_absent", "site"), ("flwr_absent.app", "coordinator")])
def test_a_library_that_is_absent_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], library: str, name: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    module = f"made_{name}_command"
    (tmp_path / f"{module}.py").write_text(f"import {library}\n\ndef run():\n    '''Run.'''\n", encoding="utf-8")
    assert run_app(lazy_program("made", "Made.", name, {"run": f"{module}:run"}), ["run"]) == 1
    said = capfd.readouterr().err
    assert f"but {library.partition('.')[0]} is not installed; run `pip install 'fedceus[{name}]'`" in said
    assert run_app(lazy_program("made", "Made.", name, {"run": f"{module}:run"}), ["--help"]) == 0
    assert "Run." in capfd.readouterr().out


def test_a_module_of_ours_that_is_absent_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError):
        LazyCommand("run", "client.no_such_module:run", "site").load()
    with pytest.raises(click.UsageError, match="No such command 'chekc'.*Did you mean 'check'"):
        program("ceus-site").main(["chekc"], standalone_mode=False)
