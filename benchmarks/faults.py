"""What a fault costs a real federation: seconds to detect it, seconds until answers come again, rounds asked anew.

Coordinator, front door and sites are processes with TLS and node keys; each fault is a SIGKILL (or, for a hang, a
SIGSTOP) at the moment when a round has begun. Run: `python -m benchmarks.faults` (needs nginx; some ten minutes).
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from benchmarks.real_federation import ROOT, Federation, command, wait
from ceus_models.process_tree import Fleet

SEED = 3
CENTERS = (1, 2, 37, 50)
ONLY_THERE = {51: "external_test_a", 52: "external_test_b"}
LONGEST_S = 420.0


@dataclass(frozen=True)
class Fault:
    """name: for the table · stage, kind, round: the round in which it happens · strike: does it, and gives the moment
    at which its own side noticed it, None where nobody there can.
    """

    name: str
    stage: str
    kind: str
    round: int
    strike: Callable[[Federation], Callable[[], float | None]]


@dataclass(frozen=True)
class Cost:
    """detected, recovered: seconds from the fault; recovered when an answer came, or a round began, after it · rounds:
    begun again.
    """

    name: str
    detected: float | None
    recovered: float
    rounds: int


def small_plan(path: Path, centers: Sequence[int] = CENTERS) -> Path:
    """The smoke plan for these centers, without the cohorts that only others hold."""
    plan = yaml.safe_load((ROOT / "configs" / "plan.smoke.yaml").read_text())
    plan["simulation"]["centers"] = list(centers)
    for center, cohort in ONLY_THERE.items():
        if center not in centers:
            del plan["simulation"]["lesions"][cohort]
            plan["stages"][-1]["cohorts"].remove(cohort)
    path.write_text(yaml.safe_dump(plan))
    return path


def killed(program: str, site: str = "") -> Callable[[Federation], Callable[[], float | None]]:
    """SIGKILL of one process; its supervisor starts it again and says so."""

    def strike(federation: Federation) -> Callable[[], float | None]:
        for pid in federation.pids(program, federation.sites.get(site)):
            os.kill(pid, signal.SIGKILL)
        begun, who = time.time(), site or "up"
        return lambda: next(
            (e["at"] for e in federation.events(who) if e["event"] in ("ended", "restarted") and e["at"] >= begun), None
        )

    return strike


def server_app(federation: Federation) -> Callable[[], float | None]:
    """SIGKILL of the ServerApp's process, which the launcher notices."""
    begun = time.time()
    for pid in federation.pids("flower-superexec"):
        for child in psutil.Process(pid).children(recursive=True):
            child.kill()
    return lambda: next((e["at"] for e in federation.events("up") if e["event"] == "run" and e["at"] >= begun), None)


def whole(name: str) -> Callable[[Federation], Callable[[], float | None]]:
    """SIGKILL of a service with all that it started; the operator, or systemd, starts it again by the same command."""

    def strike(federation: Federation) -> Callable[[], float | None]:
        folder = federation.sites.get(name, federation.study)
        for pid in federation.pids("client.serving" if name in federation.sites else "ceus-coordinator up", folder):
            os.kill(pid, signal.SIGKILL)
        begun = time.time()
        wait(lambda: not federation.pids("", folder) or time.time() > begun + 20, 25, f"{name} has ended")
        if name in federation.sites:
            federation.serve(name, ready=False)
        else:
            federation.up()
        return lambda: None

    return strike


FAULTS: tuple[Fault, ...] = (
    Fault("SuperLink killed", "submodels", "train", 1, killed("server.superlink")),
    Fault("ServerApp killed", "submodels", "train", 2, server_app),
    Fault("site's worker killed", "submodels", "evaluate", 2, killed("client.worker", "site-01")),
    Fault("`up` killed, started again", "fusion", "train", 1, whole("up")),
    Fault("site's runner killed", "fusion", "train", 2, killed("client.runner", "site-37")),
    Fault("SuperExec killed", "modules", "evaluate", 0, killed("flower-superexec")),
    Fault("site killed, started again", "test", "evaluate", 0, whole("site-50")),
)


def disturbed(federation: Federation, faults: Sequence[Fault] = FAULTS) -> list[Cost]:
    """Run the plan with every fault in its round; what each cost. Raises AssertionError if the run does not end."""
    command("ceus-coordinator", "run", federation.study, "--detach")
    costs = []
    for fault in faults:
        wait(lambda fault=fault: _begun(federation, fault), LONGEST_S, f"the round of {fault.name}")
        begun, rounds = time.time(), _started(federation, fault)
        noticed = fault.strike(federation)
        wait(lambda begun=begun: _goes_on(federation, begun), LONGEST_S, f"an answer after: {fault.name}")
        recovered = _goes_on(federation, begun) or time.time()
        moment = noticed()
        detected = None if moment is None else moment - begun
        costs.append(Cost(fault.name, detected, recovered - begun, _started(federation, fault) - rounds))
    wait(lambda: federation.state()["phase"] in ("done", "failed", "stopped"), LONGEST_S, "the end of the run")
    return costs


def _begun(federation: Federation, fault: Fault) -> bool:
    return _started(federation, fault) > 0


def _started(federation: Federation, fault: Fault) -> int:
    wanted = (fault.stage, fault.kind, fault.round)
    return sum((e["stage"], e["kind"], e["round"]) == wanted for e in federation.told() if e["event"] == "Started")


def _goes_on(federation: Federation, begun: float) -> float | None:
    """When the first answer after the fault was counted."""
    later = (e for e in federation.told() if e["event"] == "Answered" and e["at"] > begun + 0.5)
    return next((e["at"] for e in later if e["fate"] in ("counted", "idle")), None)


def made(scratch: Path, fleet: Fleet) -> Federation:
    """Four hospitals of the smoke plan, enrolled, approved and running."""
    plan = small_plan(scratch / "plan.yaml")
    command("ceus-sim", "run", plan, "--out", scratch / "memory", "--seed", SEED, "--workers", 2)
    hospitals = sorted((scratch / "memory" / "hospitals").iterdir())
    federation = Federation(scratch / "study", {h.name: h for h in hospitals}, fleet)
    federation.join_all(plan, SEED)
    federation.up()
    federation.open_front()
    federation.serve_all()
    return federation


def table(costs: Sequence[Cost]) -> str:
    """As docs/benchmarks.md has it."""
    rows = ["| fault | detected after, s | answers again after, s | rounds begun again |", "|---|---|---|---|"]
    for cost in costs:
        noticed = "–" if cost.detected is None else f"{cost.detected:.1f}"
        rows.append(f"| {cost.name} | {noticed} | {cost.recovered:.1f} | {cost.rounds} |")
    return "\n".join(rows)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ceus-faults-") as scratch, Fleet(Path(scratch) / "logs") as fleet:
        federation = made(Path(scratch), fleet)
        print(table(disturbed(federation)))
        print(f"the run is {federation.state()['phase']}")


if __name__ == "__main__":
    main()
