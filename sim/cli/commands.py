"""`ceus-sim`'s commands: simulate the study on phantom hospitals, compare it with pooled training, show the split."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ceus_models.plan.plan import load_plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.progress_bar import show_progress
from ceus_models.study.taxonomy import LESION_TYPES, STRATEGY_A, STRATEGY_B
from server.report.cells import format_interval
from server.report.publish import BUNDLE, REPORT, RESULTS
from server.report.sections.comparison import list_accuracies, list_verdicts
from server.report.terminal_table import print_results
from server.rounds.events import Answered, Event, Finished, Started
from server.rounds.trackers import TrackerName, TrackerSync, open_tracker
from sim.engine.open_devices import AUTO, parse_devices, parse_node_devices
from sim.experiments.arms import ExperimentRequest
from sim.experiments.entry import experiment_folder
from sim.experiments.experiment import run_experiment
from sim.experiments.experiment_file import find_experiment_file
from sim.experiments.overrides import parse_settings
from sim.hospital.prepare import HOSPITALS, PreparedHospital, describe_skip, parse_simulation
from sim.patients.centers import build_split
from sim.patients.patients import draw_cases
from sim.patients.table_one import count_table_one
from sim.runs.baselines import compare_baselines
from sim.runs.run import RunObserver, RunSettings, publish_results, read_results, run_study

_SHORT = {STRATEGY_A: "A", STRATEGY_B: "B"}


class LinkChoice(StrEnum):
    """How tasks reach the sites."""

    memory = "memory"
    processes = "processes"
    ray = "ray"


PlanFile = Annotated[Path, typer.Argument(help="The study's plan.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The run's folder; a run that was interrupted there goes on.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same numbers.")]
Workers = Annotated[int, typer.Option(min=1, help="Worker processes; the numbers do not depend on it.")]
Track = Annotated[TrackerName | None, typer.Option(help="Also bring the metrics of every round to this, if installed.")]
Link = Annotated[
    LinkChoice, typer.Option(help="In memory, through Flower's own processes on this machine, or over Ray.")
]
RayAddress = Annotated[str | None, typer.Option(help="Of a Ray cluster: auto or HOST:PORT; without it, here alone.")]
LinkWorkers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Worker processes: 2, or with Ray all processors of each node; the numbers do not depend on it.",
        show_default=False,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        help="Graphics cards in place of worker processes: cuda:0,cuda:1, or auto for all; cpu:0,cpu:1 runs the same "
        "on processors. With Ray, auto means its nodes' cards. What the plan needs of each is told before it starts.",
        show_default=False,
    ),
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile nets on the devices; numbers differ by rounding.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for a machine.")]


def run_command(
    plan: PlanFile,
    out: Out,
    seed: Seed = 1,
    workers: LinkWorkers = None,
    link: Link = LinkChoice.memory,
    ray_address: RayAddress = None,
    devices: Devices = None,
    compiled: Compile = False,
    track: Track = None,
) -> None:
    """Build the hospitals, federate the nets, and report who classified what how well."""
    console = Console()
    if (devices or compiled) and link is LinkChoice.processes:
        raise ExpectedError("expected --devices and --compile with the link in memory or by Ray; leave --link out")
    if devices and link is LinkChoice.ray:
        named = parse_node_devices(devices) or (AUTO,)
    else:
        named = parse_devices(devices) if devices else ()
    if devices and not named:
        console.print(f"torch sees no graphics card: {workers or 2} worker processes train on the processor")
    settings = RunSettings(plan, out, seed, workers or 2, link.value, ray_address, workers, named, compiled)
    with open_tracker(track, out) as board, _show_run(console) as watcher:
        found = run_study(settings, _add_tracker(watcher, board))
    print_results(found, console)
    _print_paths(console, out)


def compare_command(plan: PlanFile, out: Out, seed: Seed = 1, workers: Workers = 2) -> None:
    """The federated study beside the same training pooled, by each center alone, and classical baselines."""
    console = Console()
    with _show_run(console) as watcher:
        found = compare_baselines(RunSettings(plan, out, seed, workers), watcher, _make_counter(console))
    console.print(_build_comparison(found["comparison"]))
    console.print(_comparison(found))
    for verdict in list_verdicts(found):
        console.print(verdict, soft_wrap=True)
    _print_paths(console, out)


def experiment_command(
    name: Annotated[str, typer.Argument(help="Of a file in configs/experiments, or a file.", show_default=False)],
    out: Out,
    plan: Annotated[Path | None, typer.Option(help="In place of the experiment's base plan.")] = None,
    seed: Seed = 1,
    workers: Workers = 2,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="PATH=VALUE for every arm, as stages.submodels.rounds=4.")
    ] = None,
) -> None:
    """One of the study's experiments on the hospitals of a run; what is finished of it is not done again."""
    console = Console()

    @contextmanager
    def watch(label: str) -> Iterator[RunObserver]:
        console.print(f"[bold]{label}[/bold]")
        with _show_run(console) as watcher:
            yield watcher

    entry = run_experiment(
        name, ExperimentRequest(out, plan, seed, workers, parse_settings(settings or []), watch, show_progress)
    )
    intervals = [place for place, name in enumerate(entry.columns) if name.split()[-1] == "low"]
    table = Table(*_merge_intervals(entry.columns, intervals), title=entry.title)
    for row in entry.rows:
        cells = ["–" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        table.add_row(*(cell.replace("–\n– to –", "–") for cell in _merge_intervals(cells, intervals, "{}\n{} to {}")))
    console.print(table)
    console.print(entry.finding, soft_wrap=True)
    console.print(f"files: {experiment_folder(out, find_experiment_file(name).stem)}", soft_wrap=True)


def _merge_intervals(cells: Sequence[str], intervals: Collection[int], form: str = "{}\n95 % interval") -> list[str]:
    """A row with each value and its interval in one cell, as a terminal is narrow; `intervals` are indices of `low`."""
    kept = [place for place in range(len(cells)) if place not in intervals and place - 1 not in intervals]
    return [form.format(*cells[place : place + 3]) if place + 1 in intervals else cells[place] for place in kept]


def report_command(out: Annotated[Path, typer.Argument(help="The folder of a finished run.")]) -> None:
    """Make the report again from `results.json`."""
    console = Console()
    print_results(publish_results(read_results(out), out), console)
    _print_paths(console, out)


def centers_command(
    scale: Annotated[str, typer.Option(help="'paper', or a plan file whose split is wanted.")] = "paper",
    seed: Seed = 1,
    as_machine: AsJson = False,
) -> None:
    """The split's counts: lesions, patients, types, biomarkers and the rows of the study's Table 1, per cohort."""
    if scale == "paper":
        cases = draw_cases(build_split("paper"), seed)
    else:
        simulation = parse_simulation(load_plan(Path(scale)).simulation)
        chosen = None if simulation.centers == "all" else simulation.centers
        cases = draw_cases(build_split(simulation.lesions, chosen), seed)
    counts = count_table_one(cases, scale)
    if as_machine:
        typer.echo(json.dumps(counts, indent=1))
        return
    table = Table("cohort", "lesions", "patients", *LESION_TYPES, title=f"The split at {scale} scale")
    for name, cohort in counts["cohorts"].items():
        row = [cohort["lesions"], cohort["patients"], *(cohort["fll_type"].get(t, 0) for t in LESION_TYPES)]
        table.add_row(name, *map(str, row))
    Console().print(table)


@contextmanager
def _show_run(console: Console) -> Iterator[RunObserver]:
    """One bar for the hospitals, then one for each stage."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        hospitals = progress.add_task("hospitals: lesions written and read", total=None)
        bars: dict[str, TaskID] = {}

        def log(line: str) -> None:
            if not console.is_terminal:  # a file shows no bars
                console.print(line)

        def hospital(made: PreparedHospital, lesions: int) -> None:
            progress.update(hospitals, total=lesions, advance=made.lesions)
            log(f"{made.site}: {made.read} of {made.lesions} lesions read")
            for reason, count in made.skipped.items():
                line = f"{made.site}: {count} not readable: {describe_skip(reason)}"
                console.print(line, soft_wrap=True, markup=False)

        def event(told: Event) -> None:
            if isinstance(told, Started):
                if told.stage not in bars:
                    bars[told.stage] = progress.add_task(told.stage, total=told.steps, completed=told.step)
                what = f"{told.stage}: {told.kind}, {len(told.nets)} nets at {len(told.sites)} sites"
                progress.update(bars[told.stage], description=what)
            elif isinstance(told, Answered) and told.fate in ("refused", "excluded", "lost"):
                console.print(f"{told.stage} round {told.round + 1}: {told.site} {told.fate}: {told.reason}")
            elif isinstance(told, Finished):
                progress.update(bars[told.record.stage], completed=told.step)
                done = f"{told.record.stage}: {told.record.kind} {told.step} of {told.steps}"
                log(f"{done}, {len(told.record.counted)} sites counted, {told.record.seconds:.1f} s")

        yield RunObserver(hospital, event, lambda text: console.print(text, soft_wrap=True))


def _add_tracker(watcher: RunObserver, board: TrackerSync | None) -> RunObserver:
    """A watcher that also updates the board."""
    if board is None:
        return watcher

    def event(told: Event) -> None:
        watcher.event(told)
        board.catch_up()

    return replace(watcher, event=event)


def _make_counter(console: Console) -> Callable[[str, int, int], None]:
    def tell(name: str, done: int, total: int) -> None:
        console.print(f"baseline {name} is done ({done} of {total})")

    return tell


def _build_comparison(found: Mapping[str, Any]) -> Table:
    """Accuracy of the full model per test cohort: federated, pooled, best and mean of the centers alone."""
    title = f"Accuracy, same budget; alone: {len(found['alone'])} centers with lesions to train and to choose rounds on"
    table = Table("test cohort", "federated", "pooled", "best alone", "mean alone", title=title)
    for cohort, score in found["federated"].items():
        alone = [entry[cohort]["accuracy"]["value"] for entry in found["alone"].values()]
        values = [score["accuracy"]["value"], found["pooled"][cohort]["accuracy"]["value"]]
        values += [max(alone), fmean(alone)] if alone else []
        table.add_row(cohort, *(f"{value:.3f}" for value in values))
    return table


def _comparison(found: Mapping[str, Any]) -> Table:
    """Accuracy of classical baselines and nets, with intervals; on the lesions of all hospitals together."""
    scores = list_accuracies(found)
    places = [place.replace("_", "\n", 1) for place in next(iter(scores.values()), {})]
    table = Table(
        "",
        *places,
        title="Accuracy: classical baselines on pooled lesions, and the nets",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for name, row in scores.items():
        cells = ["\n".join([f"{one.value:.3f}", *format_interval(one, ".2f")]) if one else "–" for one in row.values()]
        table.add_row(_SHORT.get(name, name.removeprefix("fusion/")), *cells)
    return table


def _print_paths(console: Console, out: Path) -> None:
    for what, name in (("report", REPORT), ("results", RESULTS), ("bundle", BUNDLE), ("hospitals", HOSPITALS)):
        console.print(f"{what + ':':<11}{out / name}", soft_wrap=True)
