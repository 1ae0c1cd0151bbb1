"""A run of tests ends, and names the test, when a worker of xdist is lost or hangs in C."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OTHERS = "import pytest\n\n@pytest.mark.parametrize('i', range(4))\ndef test_other(i): pass\n"
DEADLOCK = "lock = ctypes.create_string_buffer(64); [ctypes.PyDLL(None).pthread_mutex_lock(lock) for _ in range(2)]"
FATES = {"abort": "os.abort()", "fault": "os.kill(os.getpid(), signal.SIGSEGV)", "hang": DEADLOCK}


def options() -> list[str]:
    """What `make test` gives pytest."""
    recipe = re.search(r"^\t(.*\$\(BIN\)/pytest --numprocesses .*)$", (TESTS.parents[1] / "Makefile").read_text(), re.M)
    assert recipe
    return shlex.split(recipe[1].partition("/pytest ")[2])


@pytest.mark.parametrize("fate", FATES)
def test_a_lost_worker_fails_the_run(fate: str, tmp_path: Path) -> None:
    shutil.copy(TESTS / "hung_tests.py", tmp_path)
    (tmp_path / "conftest.py").write_text("from hung_tests import pytest_configure, pytest_runtest_protocol\n")
    group = f"class TestGroup:\n    def test_before(self): pass\n    def test_fatal(self): {FATES[fate]}\n"
    (tmp_path / "test_a.py").write_text(f"import ctypes, os, signal\n\n{group}    def test_after(self): pass\n")
    for name in "bc":
        (tmp_path / f"test_{name}.py").write_text(OTHERS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(TESTS.parents[1] / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
    ]
    command += [*options(), "-p", "no:cacheprovider", "--override-ini=timeout=2", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"crashed while running '\S*test_a.py::TestGroup::test_fatal'", done.stdout)
    assert "Fatal Python error" in done.stderr or "Timeout (" in done.stderr
