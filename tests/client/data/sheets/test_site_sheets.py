"""What a worker that reads or draws lesions loads."""

from __future__ import annotations

import subprocess
import sys


def test_workers_of_index_and_show_do_not_load_torch() -> None:
    """400 MB and seconds a worker. Spawned workers import the module of their work, not the command line."""
    code = "import sys, client.data.dataset.index, client.data.sheets.site_sheets; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
