"""Whether `ceus-coordinator up` lives and its SuperLink answers: a probe, in a fraction of a second.

`python -m server.operations.health STUDY` exits 0 or 1, with one line why; it loads neither Flower nor torch.
"""

from __future__ import annotations

import http.client
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from ceus_models.runtime.findings import Finding, make_ok, print_findings, run_checks
from ceus_models.runtime.humanize import format_age
from ceus_models.runtime.liveness.heartbeat import Heartbeat, is_silent
from ceus_models.runtime.liveness.moment import compute_age, read_clock
from server.federation.federation_file import Federation, load_federation
from server.operations.disk_room import find_shortage
from server.run_folder.orders import read_state
from server.run_folder.paths import Home
from server.run_folder.studies import list_studies

_TIMEOUT_S = 10.0


def health_of(home: Home, federation: Callable[[], Federation]) -> Finding:
    """What `up` does, or why it does not answer. federation: reads its file."""
    (found,) = run_checks([("coordinator", lambda: _answering(home, federation()))])
    return found


def _answering(home: Home, federation: Federation) -> Finding:
    """Raises ExpectedError with the reason and the remedy."""
    require_up(home)
    if shortage := find_shortage(home):
        raise ExpectedError(shortage)
    beat = Heartbeat(home.up_heartbeat).last()
    now = read_clock()
    if beat and is_silent(beat, beat.at, now):
        last = format_age(compute_age(beat.at, now))
        raise ExpectedError(f"`up` lives, and gave its last sign of life {last}; end it, and start it again")
    if not is_superlink_healthy(home, federation):
        raise ExpectedError(
            f"the SuperLink does not answer on port {federation.superlink_port}; `up` starts it again, and its log is "
            f"{home.logs / 'superlink.log'}"
        )
    if beat and beat.doing:
        raise ExpectedError(f"`up` cannot go on: {beat.doing}")
    phases = ", ".join(f"{study.name}: {read_state(study).phase}" for study in list_studies(home))
    return make_ok("coordinator", f"up; {phases or 'no study'}")


def require_up(home: Home) -> None:
    """Raises ExpectedError where no `up` lives for the folder."""
    if not is_held(home.up_lock):
        raise ExpectedError(f"nothing runs for {home.folder}; start `ceus-coordinator up {home.folder}` first")


def is_superlink_healthy(home: Home, federation: Federation) -> bool:
    """Whether the SuperLink answers over TLS."""
    trusted = ssl.create_default_context(cafile=str(home.ca))
    port = federation.superlink_port
    return is_healthy(http.client.HTTPSConnection("localhost", port, timeout=_TIMEOUT_S, context=trusted))


def is_healthy(superlink: http.client.HTTPConnection) -> bool:
    """Whether a SuperLink answers at its page of health."""
    try:
        superlink.request("GET", "/health")
        return superlink.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        superlink.close()


def main() -> None:
    """The probe."""
    home = Home(Path(sys.argv[1]).resolve())
    sys.exit(print_findings([health_of(home, lambda: load_federation(home.federation))]))


if __name__ == "__main__":
    main()
