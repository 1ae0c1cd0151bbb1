"""Two hundred rounds of a real federation, in which something is killed every twenty: what grows, and what does not.

    python -m benchmarks.soak [--rounds 200] [--every 20] [--out FILE]

Coordinator, front door and four sites are processes on made-up samples with a tiny net. Which kind of process dies, at
which site and how long after the beginning of the round, is drawn from a seed. Every few rounds the memory (what is
shared counts once), the open files and the bytes on disk are taken, by kind of process and by side. The run must end,
with the numbers of a run in memory. Needs nginx; a quarter of an hour and more.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
import psutil
from matplotlib.figure import Figure

from benchmarks.faults import SEED, killed, tiny_federation, tiny_plan, whole
from benchmarks.measuring import arguments, publish, quiet
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.seeds import derive_seed
from tests.support.made_sites import digests_in_memory, digests_of_run
from tests.support.real_federation import Federation, wait

SITES = (1, 2, 3, 4)
COORDINATORS = ("SuperLink", "SuperExec", "ServerApp")
OF_SITES = ("worker", "runner", "node")
LOOK_EVERY = 5
SETTLED = 0.25
"""The first quarter of the rounds is warming up: what it used at most is what the rest is held against."""
LONGEST_S = 4 * 3600.0
MEMORY_MB, FILES, DISK_KB = 10.0, 6, 20.0
"""The bounds: how much more memory and open files a kind of process may have, at most, in later rounds than in the
first quarter; how much the disk of one side may grow a round (the audit and the mirror keep every letter). Some
twice what 200 rounds with nine kills took: 4 MB, 3 files (of the SuperLink), 11 kB (the coordinator's mirror)."""


@dataclass
class Look:
    """memory_mb, files: per process of a kind, the largest · disk_kb: by side, the study's and the largest site's."""

    round: int
    memory_mb: dict[str, float] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    disk_kb: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Kill:
    """What died in which round."""

    round: int
    what: str


def looked(federation: Federation, number: int) -> Look:
    """Everything that runs and lies there."""
    look = Look(number)
    for folder in (federation.study, *federation.sites.values()):
        for what, processes in federation.kinds(folder).items():
            for process in processes:
                with suppress(psutil.Error):
                    held = process.memory_full_info().pss / 2**20
                    look.memory_mb[what] = max(look.memory_mb.get(what, 0.0), held)
                    look.files[what] = max(look.files.get(what, 0), process.num_fds())
        side = "study" if folder == federation.study else "site"
        look.disk_kb[side] = max(look.disk_kb.get(side, 0.0), _bytes(folder) / 1024)
    return look


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def kill(federation: Federation, number: int) -> Kill:
    """One process, drawn from the seed, up to three seconds into the round."""
    draw = np.random.default_rng(derive_seed(SEED, "soak", number))
    time.sleep(float(draw.uniform(0.0, 3.0)))
    site = str(draw.choice(sorted(federation.sites)))
    what = str(draw.choice([*COORDINATORS, "up", *OF_SITES, "site"]))
    folder = federation.sites[site] if what in OF_SITES else federation.study
    wait(lambda: what in (*federation.kinds(folder), "site"), 300, f"a {what} to kill")
    if what == "up":
        whole("up")(federation)
    elif what == "site":
        whole(site)(federation)
    else:
        killed(what, site if what in OF_SITES else "")(federation)
    return Kill(number, what if what in (*COORDINATORS, "up") else f"{what} of {site}")


def soak(federation: Federation, rounds: int, every: int) -> tuple[list[Look], list[Kill]]:
    """The whole run. Raises AssertionError where it does not end."""
    federation.order()
    looks: list[Look] = []
    kills: list[Kill] = []
    end, seen = time.monotonic() + LONGEST_S, 0
    while (phase := federation.state()["phase"]) not in ("done", "failed", "stopped"):
        assert time.monotonic() < end, "the run does not end"
        begun = [e["round"] for e in federation.told() if e["event"] == "Started" and e["kind"] == "train"]
        number = max(begun, default=0)
        if number == seen:
            time.sleep(0.5)
            continue
        if number % every == 0 and number < rounds:
            kills.append(kill(federation, number))
            print(f"round {number}: {kills[-1].what} killed", flush=True)
        elif number // LOOK_EVERY > seen // LOOK_EVERY:
            looks.append(looked(federation, number))
            print(f"round {number}: {looks[-1].memory_mb}, {looks[-1].files}, {looks[-1].disk_kb}", flush=True)
        seen = number
    assert phase == "done", federation.state()
    return looks, kills


@dataclass(frozen=True)
class Growth:
    """first, later: the most in the first quarter and after it · bound: what later may be."""

    what: str
    first: float
    later: float
    bound: float
    unit: str

    @property
    def held(self) -> bool:
        return self.later <= self.bound


def growths(looks: Sequence[Look], rounds: int) -> list[Growth]:
    """Every kind against its bound."""
    cut = rounds * SETTLED
    first, later = [one for one in looks if one.round <= cut], [one for one in looks if one.round > cut]
    found = []
    for what in sorted({kind for look in looks for kind in look.memory_mb}):
        early, late = (max((x.memory_mb.get(what, 0.0) for x in some), default=0.0) for some in (first, later))
        found.append(Growth(f"memory, {what}", early, late, early + MEMORY_MB, "MB"))
    for what in sorted({kind for look in looks for kind in look.files}):
        early, late = (float(max((x.files.get(what, 0) for x in some), default=0)) for some in (first, later))
        found.append(Growth(f"open files, {what}", early, late, early + FILES, ""))
    for side in ("study", "site"):
        a, b = first[-1], later[-1]
        grown = (b.disk_kb[side] - a.disk_kb[side]) / (b.round - a.round)
        found.append(Growth(f"disk of {side}, a round", 0.0, grown, DISK_KB, "kB"))
    return found


def draw(looks: Sequence[Look], kills: Sequence[Kill], path: Path) -> None:
    """Memory, open files and disk over the rounds; a thin line where something was killed."""
    figure = Figure(figsize=(8.0, 8.0), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    kinds = sorted({kind for look in looks for kind in look.memory_mb})
    styles = ("-", "--", ":", "-.")
    for axis, values, label in zip(axes, ("memory_mb", "files", "disk_kb"), ("MB", "open files", "MB"), strict=True):
        for number, name in enumerate(kinds if values != "disk_kb" else ("study", "site")):
            told: list[Mapping[str, float]] = [getattr(look, values) for look in looks]
            scale = 1024.0 if values == "disk_kb" else 1.0
            points = [one.get(name, np.nan) / scale for one in told]
            shade = matplotlib.colormaps["viridis"](0.9 * number / max(len(kinds) - 1, 1))
            axis.plot([x.round for x in looks], points, styles[number % 4], color=shade, label=name)
        for one in kills:
            axis.axvline(one.round, color="0.7", linewidth=0.8, zorder=0)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[0].set_title("largest process of each kind · open files · disk; grey: a kill", fontsize=10)
    axes[-1].set_xlabel("round")
    figure.savefig(path, dpi=120)


HEAD = ("what", "first quarter, at most", "later, at most", "bound", "held")


def main() -> None:
    """One run; a table, and a picture if asked for."""
    given = arguments(__doc__, rounds=200, every=20)
    quiet()
    with tempfile.TemporaryDirectory(prefix="ceus-soak-") as folder:
        scratch = Path(folder)
        plan = tiny_plan(scratch / "plan.yaml", given.rounds)
        begun = time.monotonic()
        with tiny_federation(scratch, plan, SITES) as federation:
            looks, kills = soak(federation, given.rounds, given.every)
            took = time.monotonic() - begun
            asked = [e["round"] for e in federation.told() if e["event"] == "Started" and e["kind"] == "train"]
        loaded = load_plan(plan)
        same = digests_of_run(loaded, federation.of_study() / "run", SEED) == digests_in_memory(
            loaded, federation.sites, SEED, scratch / "memory"
        )
    grown = growths(looks, given.rounds)
    rows = [
        (g.what, f"{g.first:.0f} {g.unit}", f"{g.later:.1f} {g.unit}", f"{g.bound:.0f} {g.unit}", g.held) for g in grown
    ]
    title = (
        f"{given.rounds} rounds in {took:.0f} s, {len(kills)} kills, {len(asked) - len(set(asked))} rounds begun again"
    )
    publish(f"{title}; numbers of the memory run: {same}", HEAD, rows, given.out)
    if given.out:
        draw(looks, kills, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
