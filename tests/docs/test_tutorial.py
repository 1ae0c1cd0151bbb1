"""The tutorial notebook runs from its first cell to its last on a real run, and draws what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


def simulate(*arguments: str) -> None:
    program = "from sim.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=True, timeout=600, capture_output=True)


def test_the_tutorial_is_kept_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("default")  # those of the libraries that start the kernel
def test_the_tutorial_runs_on_a_compared_run_with_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    simulate("compare", "configs/plan.smoke.yaml", "--out", str(run))
    simulate("experiment", "four_models", "--out", str(run))
    monkeypatch.setenv("RUN", str(run))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    notebook = nbformat.read(TUTORIAL, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": ROOT / "docs"}}
    ).execute()
    shown = {
        cell.id: [kind for out in cell.outputs for kind in out.get("data", {})]
        for cell in notebook.cells
        if "outputs" in cell
    }
    assert {name for name, kinds in shown.items() if "image/png" in kinds} == {"curves", "forest", "bootstrap"}
    tables = {"open", "accuracy", "arms", "confusion", "sites", "experiments"}
    assert {name for name, kinds in shown.items() if "text/html" in kinds} == tables
    assert not [out for cell in notebook.cells for out in cell.get("outputs", ()) if out.get("name") == "stderr"]
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}, "a run is only read"
