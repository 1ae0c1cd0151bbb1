"""One run of a plan: write phantom hospitals, run the stages, publish the results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from ceus_models.bundle.model_bundle import save_bundle
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.errors import ExpectedError
from client.data.imaging.video.decoder import describe_ffmpeg
from server.report.publish import BUNDLE, RESULTS, build_bundle, publish_report
from server.results.results import collect_results
from server.results.uncertainty.equivalence import compare_trainings
from server.rounds.coordinator import run
from server.rounds.events import Event, Listener, Started
from server.rounds.round_log import RoundLog
from server.rounds.saving.checkpoints import Store
from sim.engine.absent_sites import leave_out
from sim.engine.cluster.ray_cluster import RayCluster
from sim.engine.cluster.ray_link import RayLink
from sim.engine.cluster.site_node import DeviceUse
from sim.engine.device_link import DeviceLink
from sim.engine.device_memory import prepare_devices
from sim.engine.flower_link import run_processes
from sim.engine.memory_link import MemoryLink
from sim.engine.open_devices import open_devices, parse_node_devices
from sim.engine.sites import HospitalOpener
from sim.hospital.prepare import Hospitals, PreparedHospital, format_site_name, parse_simulation, prepare_hospitals
from sim.runs.instruction_set import PINS, is_pinned, processor
from sim.runs.meter import Meter

LinkName = Literal["memory", "processes", "ray"]
COMPARISON_FILE = "comparison.json"
PEAKS_FILE = "measured.json"
_LIBRARIES = {"torch": "torch", "numpy": "numpy", "opencv": "opencv-python-headless", "pyav": "av"}


@dataclass(frozen=True)
class RunSettings:
    """The options of a run.

    Args:
        workers: processes that write hospitals, and that answer in the memory link.
        ray_address: of the Ray cluster that answers, None for one on this machine.
        node_workers: processes on each node of it at most, None for all its processors.
        devices: that answer in place of worker processes, as `cuda:0`, or `auto` for those of Ray's nodes; () for none.
        compiled: whether nets on devices are compiled.
    """

    plan: Path
    out: Path
    seed: int
    workers: int
    link: LinkName = "memory"
    ray_address: str | None = None
    node_workers: int | None = None
    devices: tuple[str, ...] = ()
    compiled: bool = False


@dataclass(frozen=True)
class RunObserver:
    """Callbacks for progress.

    Args:
        hospital: called with each finished hospital and the number of lesions.
        event: called with each event.
        note: called with a sentence about the machines that answer.
    """

    hospital: Callable[[PreparedHospital, int], None]
    event: Listener
    note: Callable[[str], None] = lambda sentence: None


def run_study(settings: RunSettings, watcher: RunObserver) -> dict[str, Any]:
    """Write the hospitals, run or resume the plan, and write results, bundle and report.

    Returns:
        The content of `collect_results.json`.

    Raises:
        ExpectedError: plan and folder do not fit.
    """
    plan = load_plan(settings.plan)
    with Meter(settings.out / PEAKS_FILE) as meter:
        hospitals = _prepare_hospitals(plan, settings, meter, watcher)
        progress = _run_plan(plan, hospitals, settings, meter, watcher)
    found = _build_results(progress, plan, settings) | {"skipped": hospitals.skipped, "intake": hospitals.intake}
    for name, entry in meter.stages.items():
        known = found["stages"].setdefault(name, {"seconds": entry["seconds"]})
        known |= {key: entry[key] for key in ("peak_memory_mb", "processor_s")}
    save_bundle(build_bundle(progress, plan, settings.seed, found), settings.out / BUNDLE)
    return publish_results(found, settings.out)


def publish_results(found: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write `collect_results.json` and `report.html`, with comparison and experiments, and return the results."""
    made = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))["entry"] for path in _list_results(out)}
    if made:
        found["experiments"] = made
    comparison = out / COMPARISON_FILE
    if comparison.exists():
        arms = json.loads(comparison.read_text(encoding="utf-8"))
        effects = {place: one["effect"] for place, one in found.get("design", {}).items()}
        found["comparison"] = {**arms, "equivalence": compare_trainings(arms, effects)}
    publish_report(found, out)
    return found


def _list_results(out: Path) -> list[Path]:
    return sorted(out.glob("experiments/*/result.json"))


def read_results(out: Path) -> dict[str, Any]:
    """Read the results of a finished run. Raises ExpectedError if there are none."""
    try:
        found = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ExpectedError(f"expected results, {out / RESULTS} cannot be read; finish the run there first") from None
    if not isinstance(found, dict):
        raise ExpectedError(f"expected results, {out / RESULTS} holds other JSON; finish the run there again")
    return found


def _prepare_hospitals(plan: Plan, settings: RunSettings, meter: Meter, watcher: RunObserver) -> Hospitals:
    meter.begin_stage("hospitals")
    simulation = parse_simulation(plan.simulation)
    return prepare_hospitals(
        simulation, plan.processing, settings.seed, settings.out, settings.workers, watcher.hospital
    )


def _run_plan(plan: Plan, hospitals: Hospitals, settings: RunSettings, meter: Meter, watcher: RunObserver) -> Progress:
    """Run the coordinator's loop over the chosen link."""
    store, rounds = Store(settings.out), RoundLog(settings.out)
    torch.set_num_threads(1)

    def on_event(event: Event) -> None:
        if isinstance(event, Started):
            meter.begin_stage(event.stage)
        rounds.append(event)
        watcher.event(event)

    simulation = parse_simulation(plan.simulation)
    away = {format_site_name(center) for center in simulation.without}
    if settings.link == "processes":
        if away:
            raise ExpectedError(
                "expected a link in memory or by Ray for simulation.without, found processes; leave --link out"
            )
        run_processes(settings.plan, settings.out, settings.seed, hospitals.folders, on_event)
        progress = store.latest(plan.digest(), settings.seed)
        if progress is None:
            raise ExpectedError(f"expected a checkpoint in {settings.out}, found none; see its logs folder")
        return progress
    costs = {site: float(made.read) for site, made in hospitals.prepared.items()}
    folders = {site: folder.resolve() for site, folder in hospitals.folders.items()}
    with _open_link(plan, settings, costs, HospitalOpener(folders, plan.processing), watcher) as link:
        return run(plan, leave_out(link, away), store, settings.seed, on_event)


def _open_link(
    plan: Plan, settings: RunSettings, costs: Mapping[str, float], opener: HospitalOpener, watcher: RunObserver
) -> MemoryLink | RayLink | DeviceLink:
    if settings.devices and settings.link != "ray":
        devices = open_devices(settings.devices, watcher.note, settings.compiled)
        prepare_devices(plan, devices, int(sum(costs.values())), watcher.note)
        return DeviceLink(costs, opener, devices, watcher.note)
    if settings.link != "ray":
        return MemoryLink(costs, opener, settings.workers)
    pinned = {name: os.environ[name] for name in PINS if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    names = parse_node_devices(",".join(settings.devices)) if settings.devices else ()
    use = DeviceUse(plan, names, settings.compiled) if settings.devices else None
    return RayLink(costs, opener, RayCluster(settings.ray_address, settings.node_workers, pinned), watcher.note, use)


def computed_with() -> dict[str, Any]:
    """What the last bits of a number depend on beside plan and seed: processor, instructions, libraries, threads."""
    return {
        "processor": processor(),
        "pinned": is_pinned(os.environ),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn_instructions": os.environ.get("ONEDNN_MAX_CPU_ISA", "all that the processor has"),
        "torch_threads": torch.get_num_threads(),
        **{name: version(package) for name, package in _LIBRARIES.items()},
        "ffmpeg": describe_ffmpeg(),
    }


def _build_results(progress: Progress, plan: Plan, settings: RunSettings) -> dict[str, Any]:
    about = {
        "fedceus": version("fedceus"),
        "seed": settings.seed,
        "link": settings.link,
        "workers": settings.workers,
        "devices": list(settings.devices),
        "simulated": True,
        "computed_with": computed_with(),
    }
    return about | collect_results(progress, plan, settings.seed)
