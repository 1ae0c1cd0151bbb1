"""Write the hospitals of a plan's `simulation` section, and index them as their clients do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from ceus_models.runtime.errors import FaultList
from ceus_models.runtime.yaml_lines import format_key, list_faults
from ceus_models.study.processing import Processing
from client.data.dataset.index import build_index
from client.data.dataset.worker_pool import map_trusted
from client.data.forms.site_config import load_site
from sim.hospital.hospital import write_hospital
from sim.patients.centers import build_split
from sim.patients.patients import Case, draw_cases
from sim.phantom.draw import PhantomSettings

HOSPITALS = "hospitals"
TRUTH = "truth"


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class Simulation:
    """The `simulation` section of a plan.

    Args:
        lesions: by cohort, or "paper" for the study's own numbers.
        centers: that take part.
        phantom: settings of the videos.
        seed: of the hospitals, None = the run's.
        without: centers whose hospitals are written, but never connected.
    """

    lesions: Mapping[str, int] | Literal["paper"]
    centers: tuple[int, ...] | Literal["all"] = "all"
    phantom: PhantomSettings = field(default_factory=PhantomSettings)
    seed: int | None = None
    without: tuple[int, ...] = ()


_SIMULATION = TypeAdapter(Simulation)


@dataclass(frozen=True)
class PreparedHospital:
    """One hospital on disk: `read` lesions have a sample, `skipped` ones have none, by reason."""

    site: str
    lesions: int
    read: int
    skipped: Mapping[str, int]


@dataclass(frozen=True)
class Hospitals:
    """All hospitals of a study: folder and counts by site."""

    folders: Mapping[str, Path]
    prepared: Mapping[str, PreparedHospital]

    @property
    def skipped(self) -> dict[str, int]:
        """Lesions that could not be read, by reason."""
        return dict(sum((Counter(site.skipped) for site in self.prepared.values()), Counter()))


def parse_simulation(section: Mapping[str, Any]) -> Simulation:
    """Validate the `simulation` section of a plan. Raises FaultList with all faults."""
    try:
        return _SIMULATION.validate_python(section)
    except ValidationError as error:
        found = list_faults(error, above=("simulation",))
        raise FaultList(replace(fault, file="the plan", column=format_key(fault.key)) for fault in found) from None


def format_site_name(center: int) -> str:
    """The name of a center's site, as folder and in messages."""
    return f"site-{center:02d}"


def prepare_hospitals(
    simulation: Simulation,
    processing: Processing,
    seed: int,
    out: Path,
    workers: int,
    tell: Callable[[PreparedHospital, int], None],
) -> Hospitals:
    """Write and index every hospital below `out`, the largest first; finished ones are kept.

    `tell` is called with each finished hospital and the number of lesions of the study.
    """
    seed = seed if simulation.seed is None else simulation.seed
    by_center = draw_center_cases(simulation, seed)
    lesions = sum(map(len, by_center.values()))
    largest_first = sorted(by_center, key=lambda center: (-len(by_center[center]), center))
    jobs = [_HospitalJob(out, by_center[center], simulation.phantom, processing, seed) for center in largest_first]
    ready: dict[str, PreparedHospital] = {}
    for _, made in map_trusted(_HospitalJob.run, jobs, workers):
        ready[made.site] = made
        tell(made, lesions)
    names = sorted(ready)
    return Hospitals({name: out / HOSPITALS / name for name in names}, {name: ready[name] for name in names})


def draw_center_cases(simulation: Simulation, seed: int) -> dict[int, list[Case]]:
    """Draw the lesions of every center that has some."""
    centers = None if simulation.centers == "all" else simulation.centers
    by_center: dict[int, list[Case]] = {}
    for case in draw_cases(build_split(simulation.lesions, centers), seed):
        by_center.setdefault(case.center, []).append(case)
    return by_center


@dataclass(frozen=True)
class _HospitalJob:
    out: Path
    cases: Sequence[Case]
    phantom: PhantomSettings
    processing: Processing
    seed: int

    def run(self) -> PreparedHospital:
        center = self.cases[0].center
        folder = self.out / HOSPITALS / format_site_name(center)
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_hospital(folder, self.out / TRUTH, center, self.cases, self.phantom, self.seed)
        report = build_index(load_site(folder), self.processing)
        return PreparedHospital(folder.name, len(self.cases), report.read, report.skipped)
