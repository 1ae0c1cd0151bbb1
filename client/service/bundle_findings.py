"""What a person must know of bundles: an alarm, one that waits, none that is approved."""

from __future__ import annotations

from collections.abc import Iterator

from ceus_models.runtime.findings import Finding, make_fault, make_note, make_ok
from client.courier.approval import in_force
from client.courier.fab import find_trust
from client.courier.folder import CourierFolder
from client.courier.kit import kit_of
from client.courier.waiting import Found, find_bundles, read_alarm


def list_alarms(courier: CourierFolder) -> Iterator[Finding]:
    """A fault until somebody has said that it was seen; what lies in the folders is one until it is taken away."""
    remedy = "tell the coordinator by telephone; when it is followed up, `ceus-site approve FOLDER --seen`"
    if alarm := read_alarm(courier):
        times = f", {alarm.count} times" if alarm.count > 1 else ""
        said = (
            f"a bundle from elsewhere came{times}, last on {alarm.at:%Y-%m-%d %H:%M} UTC, and was refused: {alarm.said}"
        )
        yield make_fault("ALARM", said, remedy)
    for said in _find(courier).alarms:
        yield make_fault("ALARM", said, "tell the coordinator by telephone, and take the file away")


def list_waiting(courier: CourierFolder) -> Iterator[Finding]:
    """A note for each bundle that waits for approval."""
    for one in _find(courier).waiting:
        made = f"{one.contents.study.made:%Y-%m-%d %H:%M} UTC"
        said = f"study {one.contents.study.study} of {made} waits for approval, until then its tasks are refused"
        yield make_note("approval", said, "`ceus-site approve FOLDER`")


def check_approval(courier: CourierFolder) -> Iterator[Finding]:
    """Whether anything may run, and what waits. Raises ExpectedError for a file that cannot be used."""
    kit = kit_of(courier)
    running = [one for one in in_force(courier) if kit and one.federation == kit.federation]
    waiting = list(list_waiting(courier))
    if running:
        names = ", ".join(dict.fromkeys(one.study or one.sha256[:16] for one in running))
        yield make_ok("approval", f"approved: {names}")
        yield from waiting
        return
    said = "no bundle of this federation is approved, so every message would be refused"
    fix = (
        "`ceus-site approve FOLDER`"
        if waiting
        else "`ceus-site approve FOLDER bundle.fab`, with what came with the kit"
    )
    yield make_fault("approval", said, fix)


def _find(courier: CourierFolder) -> Found:
    kit = kit_of(courier)
    if kit is None:
        return Found((), (), ())
    return find_bundles(courier, courier.folder.parent, find_trust(kit))
