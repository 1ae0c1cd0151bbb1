"""Settings of the path from clip to sample, and how the commands end."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.processing import Processing, load_processing


def test_the_default_is_the_study() -> None:
    study = Processing()
    assert (study.frames_to_peak, study.frames_after, study.frames, study.flow_maps, study.margin_px) == (
        80,
        20,
        100,
        10,
        20.0,
    )


def test_every_setting_changes_the_digest() -> None:
    assert Processing().digest() == Processing().digest()
    assert Processing(size=64).digest() != Processing().digest()


def test_the_section_of_a_plan_and_all_its_faults(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("processing: {size: 48, flow_maps: 5}\nother: 1\n")
    assert load_processing(plan) == Processing(size=48, flow_maps=5)
    plan.write_text("processing: {sizes: 48, flow_maps: many}\n")
    with pytest.raises(ExpectedError, match=r"(?s)processing.*flow_maps.*sizes|processing.*sizes.*flow_maps"):
        load_processing(plan)
    with pytest.raises(ExpectedError, match="absent.yaml: the file exists and can be read"):
        load_processing(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", ["size", "flow_size"])
def test_an_image_of_which_the_last_layer_sees_one_cell_is_refused(name: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"processing: {{{name}: 16}}\n")
    with pytest.raises(ExpectedError, match=f"processing.{name}: .*17 px a side or more, not 16; make it larger"):
        load_processing(plan)
    plan.write_text(f"processing: {{{name}: 17}}\n")
    assert getattr(load_processing(plan), name) == 17


def commands() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def fine() -> None:
        pass

    @app.command()
    def expected() -> None:
        raise ExpectedError("site.yaml: [center] is missing")

    @app.command()
    def bug() -> None:
        raise RuntimeError("patient Doe in /data/doe.dcm")

    @app.command()
    def stopped() -> None:
        raise KeyboardInterrupt

    return app


@pytest.mark.parametrize(
    ("command", "code"), [("fine", 0), ("expected", 1), ("bug", 3), ("stopped", 130), ("unknown", 2)]
)
def test_exit_codes(command: str, code: int) -> None:
    assert run_app(commands(), [command]) == code


def test_the_log_of_a_bug_quotes_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    run_app(commands(), ["bug"])
    path = capsys.readouterr().err.split()[-1]
    log = Path(path).read_text()
    assert "RuntimeError" in log
    assert "test_processing.py" in log
    assert "Doe" not in log


def test_an_expected_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    run_app(commands(), ["expected"])
    assert capsys.readouterr().err == "Error: site.yaml: [center] is missing\n"
