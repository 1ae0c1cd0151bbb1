"""What a fault costs a real federation: seconds to detect it, seconds until it is made good, rounds asked anew.

    python -m benchmarks.faults [--out FILE]

Coordinator, front door and three sites are processes with TLS and node keys, on made-up samples; each fault is a
SIGKILL (for a hang a SIGSTOP) as soon as a round has begun, and the next one waits until the last is made good. The run
must end with the numbers of a run in memory. Needs nginx; six to ten minutes.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from benchmarks.measuring import arguments, publish, quiet
from ceus_models.pki.enrolment import utc_now
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.process_tree import ProcessGroup
from server.federation.federation_file import load_federation
from server.federation.node_roster import open_control
from server.run_folder.paths import Home
from tests.support.made_sites import digests_in_memory, digests_of_run, made_site
from tests.support.real_federation import ROOT, Federation, here, wait

SEED = 3
CENTERS = (1, 2, 37, 50)
SITES = (1, 2, 3)
ONLY_THERE = {51: "external_test_a", 52: "external_test_b"}
LONGEST_S = 300.0
STUCK_S = 90.0

Noticed = Callable[[Federation, float], float | None]


@dataclass(frozen=True)
class Fault:
    """name: for the table · strike: does it · noticed: when somebody's program did, None as long as nobody has ·
    sites: whose next counted answer is the end of it, "" for anybody's.
    """

    name: str
    strike: Callable[[Federation], None]
    noticed: Noticed
    site: str = ""


@dataclass(frozen=True)
class Cost:
    """detected, recovered: seconds from the fault · rounds: begun again."""

    name: str
    detected: float | None
    recovered: float
    rounds: int


def small_plan(path: Path, centers: Sequence[int] = CENTERS) -> Path:
    """The smoke plan for these centers, without the cohorts that only others hold."""
    plan = yaml.safe_load((ROOT / "configs" / "plan.smoke.yaml").read_text())
    plan["simulation"]["centers"] = list(centers)
    plan["quorum"]["sites"] = 1  # a cohort may have one of these centers
    for center, cohort in ONLY_THERE.items():
        if center not in centers:
            del plan["simulation"]["lesions"][cohort]
            plan["stages"][-1]["cohorts"].remove(cohort)
    path.write_text(yaml.safe_dump(plan))
    return path


def tiny_plan(path: Path, rounds: int, every: int = 0) -> Path:
    """Rounds of one tiny net and nothing else. every: rounds between two validations, 0 for none."""
    plan = yaml.safe_load((ROOT / "configs" / "plan.smoke.yaml").read_text())
    train = {"stage": "train", "name": "one", "nets": ["disease/HCC"], "cohorts": ["training_a"], "rounds": rounds}
    train |= {"rule": {"batch_size": 4, "learning_rate": 0.01}} | ({"validate": {"every": every}} if every else {})
    del plan["simulation"]
    patient = {"absent_s": 600}  # on a busy machine a node's start and its lease take minutes: the site shall count
    plan |= {"name": "tiny", "deadlines": patient, "stages": [{"stage": "hello"}, {"stage": "statistics"}, train]}
    plan["architecture"] |= {"hidden": 4}
    plan["quorum"]["sites"] = 1
    path.write_text(yaml.safe_dump(plan))
    return path


def killed(what: str, site: str = "", stop: bool = False) -> Callable[[Federation], None]:
    """SIGKILL of a process of that kind (or SIGSTOP); its supervisor starts it again."""

    def strike(federation: Federation) -> None:
        for process in federation.kinds(federation.sites.get(site, federation.study)).get(what, []):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP if stop else signal.SIGKILL)

    return strike


def whole(name: str) -> Callable[[Federation], None]:
    """SIGKILL of a service with all that it started; the operator, or systemd, starts it again by the same command."""

    def strike(federation: Federation) -> None:
        if name == "nginx":
            federation.fleet.stop(name)
            return federation.open_front()
        folder = federation.sites.get(name, federation.study)
        killed("serve" if name in federation.sites else "up", name)(federation)
        wait(lambda: set(federation.kinds(folder)) <= {"front door"}, 30, f"{name} has ended")
        if name in federation.sites:
            return federation.serve(name, ready=False)
        return federation.up()

    return strike


def by_supervisor(who: str) -> Noticed:
    """A service tells that a process ended, or that it was started anew."""

    def noticed(federation: Federation, begun: float) -> float | None:
        told = (e for e in federation.events(who) if e["event"] in ("ended", "restarted") and e["at"] >= begun)
        return next((float(e["at"]) for e in told), None)

    return noticed


def by_launcher(federation: Federation, begun: float) -> float | None:
    """`up` tells that the run's process died."""
    told = (e for e in federation.events("up") if e["event"] == "run" and e["at"] >= begun)
    return next((float(e["at"]) for e in told if e["phase"] == "waiting"), None)


def by_absence(site: str) -> Noticed:
    """The coordinator lists the site as not connected."""

    def noticed(federation: Federation, begun: float) -> float | None:
        home = Home(federation.study)
        with suppress(ExpectedError), open_control(home, load_federation(home.federation), utc_now()) as control:
            return None if site in control.online() else time.time()
        return None

    return noticed


def by_nobody(federation: Federation, begun: float) -> float | None:
    """Its supervisor is the machine's own (systemd, Docker), which notices at once and is not measured here."""
    return begun


FAULTS: tuple[Fault, ...] = (
    Fault("SuperLink killed", killed("SuperLink"), by_supervisor("up")),
    Fault("ServerApp killed", killed("ServerApp"), by_launcher),
    Fault("SuperExec killed", killed("SuperExec"), by_supervisor("up")),
    Fault("`up` killed, started again", whole("up"), by_nobody),
    Fault("front door ended, started again", whole("nginx"), by_nobody),
    Fault("site's worker killed", killed("worker", "site-01"), by_supervisor("site-01"), "site-01"),
    Fault("site's runner killed", killed("runner", "site-02"), by_supervisor("site-02"), "site-02"),
    Fault("site's worker hangs", killed("worker", "site-03", stop=True), by_supervisor("site-03"), "site-03"),
    Fault("site's node killed", killed("node", "site-01"), by_supervisor("site-01"), "site-01"),
    Fault("site killed, started again", whole("site-02"), by_absence("site-02"), "site-02"),
)
ROUNDS = 2 * len(FAULTS) + 2


def disturbed(federation: Federation, faults: Sequence[Fault] = FAULTS) -> Iterator[Cost]:
    """Every fault in a round of its own, and what it cost. Raises AssertionError where one is not made good in time."""
    federation.order()
    for number, fault in enumerate(faults):
        wait(lambda wanted=2 * number + 1: _begun(federation) >= wanted, LONGEST_S, f"the round of {fault.name}")
        begun, before = time.time(), _again(federation)
        fault.strike(federation)
        detected, recovered = _watched(federation, fault, begun)
        yield Cost(fault.name, detected, recovered, _again(federation) - before)


def _watched(federation: Federation, fault: Fault, begun: float) -> tuple[float | None, float]:
    """Seconds until it was noticed, and until the answer after it."""
    noticed: float | None = None
    end = time.monotonic() + LONGEST_S
    while (answered := _answered(federation, fault.site, begun)) is None:
        assert time.monotonic() < end, f"no answer within {LONGEST_S} s after: {fault.name}"
        noticed = noticed or fault.noticed(federation, begun)
        time.sleep(0.3)
    noticed = noticed or fault.noticed(federation, begun)
    return None if noticed is None else noticed - begun, answered - begun


def _rounds(federation: Federation) -> list[int]:
    return [e["round"] for e in federation.told() if e["event"] == "Started" and e["kind"] == "train"]


def _begun(federation: Federation) -> int:
    return max(_rounds(federation), default=0)


def _again(federation: Federation) -> int:
    rounds = _rounds(federation)
    return len(rounds) - len(set(rounds))


def _answered(federation: Federation, site: str, begun: float) -> float | None:
    """When the first answer after the fault was counted."""
    later = (e for e in federation.told() if e["event"] == "Answered" and e["at"] > begun and e["fate"] == "counted")
    return next((float(e["at"]) for e in later if site in ("", e["site"])), None)


@contextmanager
def tiny_federation(scratch: Path, plan: Path, sites: Sequence[int]) -> Iterator[Federation]:
    """Sites with made-up samples, enrolled, approved and running."""
    processing = load_plan(plan).processing
    held = {"training_a": 8, "validation": 4}
    folders = {f"site-{n:02d}": made_site(scratch / f"site-{n:02d}", n, held, processing) for n in sites}
    with ProcessGroup(scratch / "logs") as fleet:
        federation = Federation(scratch / "study", folders, fleet, here)
        federation.begin(plan, SEED)
        yield federation


HEAD = ("fault", "detected after, s", "made good after, s", "rounds begun again")


def shown(cost: Cost) -> tuple[str, ...]:
    """A row of the table."""
    noticed = "–" if cost.detected is None else f"{cost.detected:.1f}"
    return (cost.name, noticed, f"{cost.recovered:.1f}", str(cost.rounds))


def main() -> None:
    """All faults in one run."""
    given = arguments(__doc__)
    quiet()
    rows = []
    with tempfile.TemporaryDirectory(prefix="ceus-faults-") as folder:
        scratch = Path(folder)
        plan = tiny_plan(scratch / "plan.yaml", ROUNDS)
        with tiny_federation(scratch, plan, SITES) as federation:
            for cost in disturbed(federation):
                rows.append(shown(cost))
                print(*rows[-1], sep=" | ", flush=True)
            phase = federation.wait_over(LONGEST_S)
        loaded = load_plan(plan)
        same = digests_of_run(loaded, federation.of_study() / "run", SEED) == digests_in_memory(
            loaded, federation.sites, SEED, scratch / "memory"
        )
    publish(f"the run is {phase}; its numbers are the memory run's: {same}", HEAD, rows, given.out)


if __name__ == "__main__":
    main()
