"""Flower's SuperLink as the coordinator starts it: `python -m server.transport.superlink`, with its options.

Two changes: SQLite waits two minutes for a lock instead of five seconds, because writing a message of 400 MB or more
takes longer, and a lock time-out ends the run. A thread that dies ends the process, so that its supervisor restarts it.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback

from flwr.supercore import sql_mixin
from flwr.superlink.cli import flower_superlink

_PRAGMAS = "SQLITE_PRAGMAS"  # settings of every new connection
_BUSY_MS = "120000"
_DEAD_THREAD = 70


def main() -> None:
    """Run the SuperLink until it is stopped."""
    kept = dict(getattr(sql_mixin, _PRAGMAS))
    setattr(sql_mixin, _PRAGMAS, tuple({**kept, "busy_timeout": _BUSY_MS}.items()))
    threading.excepthook = _end
    sys.argv[0] = "flower-superlink"
    flower_superlink()


def _end(died: threading.ExceptHookArgs) -> None:
    traceback.print_exception(died.exc_type, died.exc_value, died.exc_traceback)
    sys.stderr.flush()
    os._exit(_DEAD_THREAD)


if __name__ == "__main__":
    main()
