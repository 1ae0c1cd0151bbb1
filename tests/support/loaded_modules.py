"""Which modules a command of the three programs imports, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = ("torch", "torchvision", "matplotlib", "pandas")
LOADED = """
import sys
from importlib import import_module
from ceus_models.runtime.exit_codes import run_app
code = run_app(import_module(sys.argv[1] + ".cli.main").app, sys.argv[3:])
print(f"code {code}, loaded {[name for name in sys.argv[2].split(',') if name in sys.modules]}")
"""


def loaded(package: str, *arguments: object, of: tuple[str, ...] = HEAVY) -> str:
    """How a command ended, and which of these modules it imported: the last line of a process that ran it."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-c", LOADED, package, ",".join(of), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    return (done.stdout.splitlines() or [done.stderr])[-1]
