"""What a command says of an error moves no cursor and hides no line, whatever the error quotes."""

from __future__ import annotations

import pytest
import typer

from ceus_models.runtime.errors import ExpectedError, Fault, FaultList
from ceus_models.runtime.exit_codes import run_app
from ceus_models.runtime.findings import make_fault, print_findings

ODD = "a\x1b[2J\x9b1A\x07\rb\u202ec"


def say(error: Exception) -> int:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    return run_app(app, [])


@pytest.mark.parametrize(
    "error",
    [
        ExpectedError(f"the proxy said {ODD}\nsecond line"),
        FaultList(
            [Fault("a.yaml", 1, ODD, "bad-file", "a rule", ODD, "remedy"), Fault("b", 2, "", "r", "second line")]
        ),
        OSError(28, "No space left on device", ODD),
    ],
    ids=["an error", "faults of a file", "a full disk"],
)
def test_errors_are_shown_without_control_characters(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(error) == 1
    said = capsys.readouterr().err
    assert "a?[2J?1A??b?c" in said.replace("\n", "")
    assert said.replace("\n", "").isprintable()


def test_findings_are_shown_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_findings([make_fault(ODD, ODD, f"run `ceus-site {ODD}`")]) == 1
    said = capsys.readouterr().out.replace("\n", "")
    assert said.count("a?[2J?1A??b?c") == 3
    assert said.isprintable()
