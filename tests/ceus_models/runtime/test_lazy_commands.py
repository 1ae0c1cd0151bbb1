"""The three programs import a command when it is called, and their `--help` imports none."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest
from loaded_modules import HEAVY, loaded
from small_hospital import SmallHospital

from ceus_models.runtime.exit_codes import exit_code
from ceus_models.runtime.lazy_commands import LazyCommand, LazyGroup, lazy_program

PROGRAMS = {"ceus-site": "client", "ceus-coordinator": "server", "ceus-sim": "sim"}


def program(name: str) -> LazyGroup:
    found: LazyGroup = importlib.import_module(f"{PROGRAMS[name]}.cli.main").app
    return found


@pytest.mark.parametrize("package", PROGRAMS.values())
def test_help_imports_no_library_of_a_command(package: str) -> None:
    heavy = (*HEAVY, "numpy", "flwr", "pydantic", "cv2", "starlette")
    assert loaded(package, "--help", of=heavy) == "code 0, loaded []"


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
    assert exit_code(program("ceus-site"), ["predict", "--workers", "0"]) == 2
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
    assert exit_code(lazy_program("made", "Made.", name, {"run": f"{module}:run"}), ["run"]) == 1
    said = capfd.readouterr().err
    assert f"but {library.partition('.')[0]} is not installed; run `pip install 'fedceus[{name}]'`" in said
    assert exit_code(lazy_program("made", "Made.", name, {"run": f"{module}:run"}), ["--help"]) == 0
    assert "Run." in capfd.readouterr().out


def test_a_module_of_ours_that_is_absent_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError):
        LazyCommand("run", "client.no_such_module:run", "site").load()
    with pytest.raises(click.UsageError, match="No such command 'chekc'.*Did you mean 'check'"):
        program("ceus-site").main(["chekc"], standalone_mode=False)
