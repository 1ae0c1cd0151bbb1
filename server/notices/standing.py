"""Whether notices arrive, for `status`: what somebody must look at, one line each."""

from __future__ import annotations

from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import is_held
from ceus_models.runtime.findings import Finding, make_ok, run_checks
from server.notices.notices_file import load_notices
from server.notices.outbox import read_outbox
from server.run_folder.paths import Home

NAME = "notices"


def check_notices(home: Home, up: bool) -> list[Finding]:
    """For preflight: every fault of notices.yaml, and what does not arrive; none where nobody is to be told."""
    if not home.notices.exists():
        return []

    def check() -> Finding:
        people = len(load_notices(home).people)
        faults = list_notice_faults(home, up)
        if faults:
            raise ExpectedError(f"{faults[0]}; `ceus-coordinator notices {home.folder} test` tries it")
        return make_ok(NAME, f"{people} {'person is' if people == 1 else 'people are'} told")

    return list(run_checks([(NAME, check)]))


def list_notice_faults(home: Home, up: bool) -> list[str]:
    """None where nobody is to be told. up: whether the daemon lives, which keeps the process that tells."""
    if not home.notices.exists():
        return []
    try:
        load_notices(home)
        undelivered = read_outbox(home).list_undelivered()
    except ExpectedError:
        return [f"nobody is told anything: `ceus-coordinator notices {home.folder} check` says why"]
    if up and not is_held(home.notices_lock):
        undelivered.append("nobody is told anything: start `ceus-coordinator up` again, or read logs/notices.log")
    return undelivered
