"""What a message costs before any work: a trivial round over three sites, ours beside a stock Flower app with torch.

    python -m benchmarks.messages [--rounds 12] [--sites 3] [--out FILE]

Ours is the deployed shape (TLS, node keys, front door, approved bundle, courier and warm worker) and trains a tiny net
on eight lesions; stock Flower sends eight numbers through its own SuperLink and SuperNodes without TLS, and its clients
import torch, in a new process for every message. The first round of each is left out. Needs nginx.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.faults import tiny_federation, tiny_plan
from benchmarks.measuring import Times, arguments, publish, quiet, ratio
from ceus_models.runtime.process_tree import Fleet
from server.transport.fab import build_fab
from server.transport.superlink_control import Control
from tests.support.real_federation import BIN, ENVIRONMENT, ROOT, ports, wait

LIMIT_S = 900.0
_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def ours(scratch: Path, rounds: int, sites: int) -> tuple[Times, float]:
    """Seconds of every round, from the question to the absorbed sum, and of a processor a round, all processes."""
    plan = tiny_plan(scratch / "plan.yaml", rounds + 1)
    with tiny_federation(scratch, plan, range(1, sites + 1)) as federation:
        federation.order()
        wait(lambda: len(_finished(federation.told())) > 0, LIMIT_S, "the first round")
        busy = _busy()
        if (phase := federation.wait_over(LIMIT_S)) != "done":
            raise RuntimeError(f"the run {phase}: {federation.state()}")
        spent = _busy() - busy
        seconds = [e["record"]["seconds"] for e in _finished(federation.told())]
    return Times(seconds[1:]), spent / rounds


def _finished(told: Sequence[Mapping[str, object]]) -> list[dict[str, dict[str, float]]]:
    return [e for e in told if e["event"] == "Finished" and e["record"]["kind"] == "train"]  # type: ignore[index,misc]


def stock(scratch: Path, rounds: int, sites: int) -> tuple[Times, float]:
    """The same of stock Flower, started as its manual says."""
    superlink, *nodes = ports(1 + sites)
    out = scratch / "stock.json"
    flwr = {**ENVIRONMENT, **_FLOWER, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with Fleet(scratch / "stock-logs") as fleet:
        listen = ["--host", "127.0.0.1", "--port"]
        command = [str(BIN / "flower-superlink"), "--insecure", *listen, str(superlink)]
        fleet.start("superlink", command, flwr | {"FLWR_HOME": str(scratch / "flwr-link")})
        for number, port in enumerate(nodes):
            command = [str(BIN / "flower-supernode"), "--insecure", "--superlink", f"127.0.0.1:{superlink}", *listen]
            fleet.start(f"node{number}", [*command, str(port)], flwr | {"FLWR_HOME": str(scratch / f"flwr-{port}")})
        wait(lambda: _answers(superlink), 120, "the SuperLink")
        busy = _busy()
        with Control(f"127.0.0.1:{superlink}") as control:
            control.submit({"sites": sites, "seed": rounds + 1, "out": str(out)}, stock_bundle())
        wait(lambda: out.exists() and out.stat().st_size, LIMIT_S, "stock Flower")
        spent = _busy() - busy
    return Times(json.loads(out.read_text())[1:]), spent / (rounds + 1)


def stock_bundle() -> bytes:
    """Our bundle's settings with another app behind them, which is found where this file is."""
    with zipfile.ZipFile(io.BytesIO(build_fab("benchmarks.stock_app:server_app"))) as archive:
        settings = archive.read("pyproject.toml").replace(
            b"client.courier.client_app:app", b"benchmarks.stock_app:client_app"
        )
    listing = f"pyproject.toml,{hashlib.sha256(settings).hexdigest()},{len(settings) * 8}".encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("pyproject.toml", settings)
        archive.writestr(".info/CONTENT", listing)
    return made.getvalue()


def _answers(port: int) -> bool:
    return any(c.laddr.port == port and c.status == "LISTEN" for c in psutil.net_connections("tcp"))


def _busy() -> float:
    """Seconds of a processor that this process's descendants took so far, with those that they waited for."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


HEAD = ("a trivial round", "seconds", "of a processor, all sites and the coordinator")


def main() -> None:
    """One after the other."""
    given = arguments(__doc__, rounds=12, sites=3)
    quiet()
    with tempfile.TemporaryDirectory(prefix="ceus-messages-") as folder:
        mine, busy = ours(Path(folder), given.rounds, given.sites)
        print("ours", mine, flush=True)
        theirs, spent = stock(Path(folder), given.rounds, given.sites)
    rows = [("ours", mine, f"{busy:.1f}"), ("stock Flower, torch imported per message", theirs, f"{spent:.1f}")]
    publish(f"{given.sites} sites; stock over ours {ratio(theirs, mine):.2f}", HEAD, rows, given.out)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
