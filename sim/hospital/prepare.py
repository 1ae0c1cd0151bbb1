"""Write the hospitals of a plan's `simulation` section, and, for a run, index them as their clients do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.runtime.yaml_lines import format_key, list_faults
from ceus_models.study.processing import Processing
from client.data.dataset.index import build_index
from client.data.dataset.index_report import Intake
from client.data.dataset.worker_pool import map_trusted
from client.data.forms.site_config import load_site
from client.faults.catalogue import REASONS
from client.policy.policy_file import POLICY_FILE
from sim.hospital.hospital import WrittenHospital, write_hospital
from sim.hospital.paperwork import PolicyKind, write_policy
from sim.patients.centers import build_split
from sim.patients.excluded import draw_excluded
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
        excluded: lesions of each hospital beyond `lesions`, which the study's rules of inclusion do not take.
        without: centers whose hospitals are written, but never connected.
        pooled_rate: learning rate of all nets where all lesions are in one place, None = the plan's. There the steps of
            all centers follow each other, where the federation takes their mean.
    """

    lesions: Mapping[str, int] | Literal["paper"]
    centers: tuple[int, ...] | Literal["all"] = "all"
    phantom: PhantomSettings = field(default_factory=PhantomSettings)
    seed: int | None = None
    excluded: Annotated[int, Ge(0)] = 0
    without: tuple[int, ...] = ()
    pooled_rate: Annotated[float, Gt(0)] | None = None


_SIMULATION = TypeAdapter(Simulation)


@dataclass(frozen=True)
class PreparedHospital:
    """One hospital on disk: what became of its lesions, by cohort."""

    site: str
    lesions: int
    cohorts: Mapping[str, Intake]

    @property
    def read(self) -> int:
        """Lesions with a sample."""
        return sum(intake.read for intake in self.cohorts.values())

    @property
    def skipped(self) -> dict[str, int]:
        """Lesions that could not be read, by reason."""
        return _add_counts(intake.skipped for intake in self.cohorts.values())


@dataclass(frozen=True)
class Hospitals:
    """All hospitals of a study: folder and counts by site."""

    folders: Mapping[str, Path]
    prepared: Mapping[str, PreparedHospital]

    @property
    def skipped(self) -> dict[str, int]:
        """Lesions that could not be read, by reason in words."""
        found = _add_counts(site.skipped for site in self.prepared.values())
        return {describe_skip(reason): count for reason, count in found.items()}

    @property
    def intake(self) -> dict[str, dict[str, Any]]:
        """Cohort → lesions in the tables (`listed`), `look`ed at before they may be used, `excluded` and `skipped`.

        The last two by reason: that of the rules of inclusion, and that of a skip in words.
        """
        found: dict[str, dict[str, Any]] = {}
        for cohort in sorted({name for site in self.prepared.values() for name in site.cohorts}):
            parts = [site.cohorts[cohort] for site in self.prepared.values() if cohort in site.cohorts]
            excluded, skipped = (_add_counts(getattr(one, name) for one in parts) for name in ("excluded", "skipped"))
            look = sum(one.look for one in parts)
            found[cohort] = {
                "listed": sum(one.read for one in parts) + look + sum(excluded.values()) + sum(skipped.values()),
                "look": look,
                "excluded": excluded,
                "skipped": {describe_skip(reason): count for reason, count in skipped.items()},
            }
        return found


def _add_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter[str]()))


def describe_skip(reason: str) -> str:
    """What is wrong, as the fault catalogue begins to say it."""
    return REASONS[reason].meaning.partition(". ")[0].removesuffix(".") if reason in REASONS else reason


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
    orders = order_hospitals(simulation, seed, out)
    lesions = sum(len(order.cases) for order in orders)
    ready: dict[str, PreparedHospital] = {}
    for _, made in map_trusted(_Preparation.run, [_Preparation(order, processing) for order in orders], workers):
        ready[made.site] = made
        tell(made, lesions)
    names = sorted(ready)
    return Hospitals({name: out / HOSPITALS / name for name in names}, {name: ready[name] for name in names})


def order_hospitals(
    simulation: Simulation, seed: int, out: Path, centers: Sequence[int] = (), policy: PolicyKind = "open"
) -> list[HospitalOrder]:
    """What is to be written below `out`, the largest first. centers: only these of the plan, () for all.

    Raises:
        ExpectedError: the plan has no lesion at one of them.
    """
    seed = seed if simulation.seed is None else simulation.seed
    by_center = draw_center_cases(simulation, seed)
    for center in centers:
        if center not in by_center:
            held = ", ".join(map(str, sorted(by_center)))
            raise ExpectedError(f"expected a center of this plan ({held}), found {center}; name one of them")
    chosen = set(centers) or by_center
    largest_first = sorted(chosen, key=lambda center: (-len(by_center[center]), center))
    return [HospitalOrder(out, by_center[center], simulation.phantom, seed, policy) for center in largest_first]


def draw_center_cases(simulation: Simulation, seed: int) -> dict[int, list[Case]]:
    """Draw the lesions of every center that has some, those last that the study does not take."""
    centers = None if simulation.centers == "all" else simulation.centers
    by_center: dict[int, list[Case]] = {}
    for case in draw_cases(build_split(simulation.lesions, centers), seed):
        by_center.setdefault(case.center, []).append(case)
    return {center: [*cases, *draw_excluded(cases, simulation.excluded)] for center, cases in by_center.items()}


@dataclass(frozen=True)
class HospitalOrder:
    """A hospital to write below the folder `out`, with all its lesions and this policy."""

    out: Path
    cases: Sequence[Case]
    phantom: PhantomSettings
    seed: int
    policy: PolicyKind

    def write(self) -> WrittenHospital:
        """Write it, or keep it, its policy too, if it was written with the same settings."""
        center = self.cases[0].center
        folder = self.out / HOSPITALS / format_site_name(center)
        folder.parent.mkdir(parents=True, exist_ok=True)
        written = write_hospital(folder, self.out / TRUTH, center, self.cases, self.phantom, self.seed)
        write_policy(folder / POLICY_FILE, self.policy)
        return written


@dataclass(frozen=True)
class _Preparation:
    order: HospitalOrder
    processing: Processing

    def run(self) -> PreparedHospital:
        written = self.order.write()
        report = build_index(load_site(written.folder), self.processing)
        return PreparedHospital(written.folder.name, written.lesions, report.cohorts)
