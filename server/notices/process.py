"""The process that tells, beside the daemon: `python -m server.notices.process FOLDER`, started by `up`."""

from __future__ import annotations

import sys
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from ceus_models.runtime.supervisor import StopRequested, log_event
from server.federation.federation_file import load_federation
from server.notices.notices_file import load_notices
from server.notices.notifier import make_notifier
from server.run_folder.paths import Home

_STEP_S = 1.0


def main() -> None:
    """Tell until SIGTERM; exit 1 with the reason where the folder's files cannot be used."""
    home = Home(Path(sys.argv[1]).resolve())
    try:
        notices, federation = load_notices(home), load_federation(home.federation)
        home.outbox.parent.mkdir(mode=0o700, exist_ok=True)
        busy = ExpectedError(f"another process tells for {home.folder}; stop that one first")
        with hold_lock(home.notices_lock, busy), StopRequested() as stop:
            notifier = make_notifier(home, federation, notices, log_event)
            while not stop.wait(_STEP_S):
                notifier.step()
    except ExpectedError as error:
        log_event({"event": "trouble", "said": str(error)})
        sys.exit(1)


if __name__ == "__main__":
    main()
