"""Stock Flower's side of the link benchmark, in a process of its own: FedAvg and the simulation by Ray.

Run by benchmarks.links. The client is `benchmarks.flower_client`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.flower_client import CASE, client_app
from benchmarks.measuring import Peak, quiet
from tests.support.clients import task_of

ACTORS = 2


class TimedFedAvg(FedAvg):
    """FedAvg as it is; it only notes when rounds begin and end."""

    begun = 0.0
    seconds: list[float] = []  # noqa: RUF012 - one instance

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg."""
        self.begun = time.perf_counter()
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As FedAvg."""
        result = super().aggregate_train(server_round, replies)
        self.seconds.append(time.perf_counter() - self.begun)
        return result


def main() -> None:
    """Arguments: sites, rounds, file for the figures."""
    sites, rounds, out = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    quiet()
    strategy = TimedFedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=sites, min_available_nodes=sites)
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        arrays = ArrayRecord(dict(task_of(CASE).inputs))  # type: ignore[arg-type]
        strategy.start(grid=grid, initial_arrays=arrays, num_rounds=rounds)

    backend = {"client_resources": {"num_cpus": 1}, "init_args": {"num_cpus": ACTORS, "include_dashboard": False}}
    with Peak() as peak:
        run_simulation(server_app, client_app, sites, backend_config=backend)
    figures = {"seconds": strategy.seconds, "peak_mb": peak.most, "before_mb": peak.before}
    out.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
