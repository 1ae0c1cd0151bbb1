"""A test that hangs where no signal reaches it ends its process, which xdist reports as a failure of that test.

pytest-timeout raises in Python's main thread; code in C that holds the interpreter never gets there. faulthandler's
thread needs no interpreter: it writes where every thread stands, and ends the process.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

GRACE = 1.2
"""Of a test's own time limit: pytest-timeout comes first, and the test's fixtures have time to end."""
_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_STDERR] = os.dup(2)  # while a test runs, 2 is a file of pytest's


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker and marker.args else item.config.getini("timeout"))
    if seconds > 0:
        faulthandler.dump_traceback_later(seconds * GRACE, exit=True, file=item.config.stash[_STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
