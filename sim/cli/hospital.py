"""`ceus-sim hospital`: phantom hospitals alone, as folders that `ceus-site` takes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.progress_bar import show_progress
from client.data.dataset.worker_pool import map_trusted
from sim.hospital.hospital import WrittenHospital
from sim.hospital.paperwork import OPEN_BECAUSE, PolicyKind
from sim.hospital.prepare import TRUTH, HospitalOrder, order_hospitals, parse_simulation
from sim.hospital.shared_hospitals import SharedHospitals


class PolicyChoice(StrEnum):
    """What a phantom hospital allows."""

    open = "open"
    safe = "safe"


_TOLD: dict[PolicyKind, str] = {
    "open": f"open: every plan is answered, in the clear too. accept_risk: {OPEN_BECAUSE}",
    "safe": "safe, as it comes with a site: no study is answered until policy.yaml names it",
}


def hospital_command(
    plan: Annotated[Path, typer.Argument(help="A plan with a section `simulation`.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="The folder to write into; what is there of the same plan and seed is kept.")
    ],
    center: Annotated[
        list[int] | None, typer.Option(help="Only this center of the plan; more by more options.", show_default=False)
    ] = None,
    policy: Annotated[PolicyChoice, typer.Option(help="What new hospitals allow.")] = PolicyChoice.open,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same hospitals.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that write.")] = 2,
) -> None:
    """Write phantom hospitals as folders of clips, outlines and tables, for `ceus-site` to check, index and serve."""
    study = load_plan(plan)
    simulation = parse_simulation(study.simulation)
    SharedHospitals(out, seed if simulation.seed is None else simulation.seed).check_same(study)
    orders = order_hospitals(simulation, seed, out, center or (), policy.value)
    written = sorted(_write_all(orders, workers), key=lambda made: made.folder)
    console = Console(highlight=False, soft_wrap=True)
    for made in written:
        console.print(f"{made.folder}: {made.lesions} lesions{', kept as it was' if made.reused else ''}")
    if not all(made.reused for made in written):
        console.print(f"policy {_TOLD[policy.value]}")
    console.print(f"what is true of each lesion, which no site reads: {out / TRUTH}")
    typer.echo(f"next: ceus-site check {written[0].folder}", err=True)


def _write_all(orders: list[HospitalOrder], workers: int) -> list[WrittenHospital]:
    lesions = sum(len(order.cases) for order in orders)
    written: list[WrittenHospital] = []
    with show_progress("writing lesions") as on_progress:
        for _, made in map_trusted(HospitalOrder.write, orders, workers):
            written.append(made)
            on_progress(sum(one.lesions for one in written), lesions)
    return written
