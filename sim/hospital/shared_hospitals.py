"""Hospitals that several runs share: written once, indexed once for each processing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ceus_models.plan.plan import Plan
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from client.data.dataset.index_file import read_index
from client.data.forms.site_config import load_site
from sim.hospital.hospital import MARKER, compute_hospital_digest
from sim.hospital.prepare import (
    HOSPITALS,
    PreparedHospital,
    Simulation,
    draw_center_cases,
    format_site_name,
    parse_simulation,
    prepare_hospitals,
)

VIEWS = Path("experiments") / "processing"


@dataclass(frozen=True)
class SharedHospitals:
    """The hospitals of the run folder `run`, written with `seed`."""

    run: Path
    seed: int

    def check_same(self, plan: Plan) -> None:
        """Raise ExpectedError if `run` holds hospitals of another plan or seed, which would be replaced."""
        simulation = parse_simulation(plan.simulation)
        for folder in list_site_folders(self.run):
            if _read_marker(folder) != compute_digests(simulation, self.seed).get(folder.name):
                raise ExpectedError(
                    f"expected hospitals of this plan, seed and version, {folder} is of another; give the plan and the "
                    f"seed of the run in {self.run}, or another --out"
                )

    def prepare_missing(self, plan: Plan, workers: int, tell: Callable[[PreparedHospital, int], None]) -> None:
        """Write and index the hospitals that are missing or not indexed."""
        self.check_same(plan)
        missing = compute_digests(parse_simulation(plan.simulation), self.seed).keys() - {
            f.name for f in list_site_folders(self.run)
        }
        if missing or not read_index_digests(self.run):
            prepare_hospitals(parse_simulation(plan.simulation), plan.processing, self.seed, self.run, workers, tell)

    def link_into(self, folder: Path, processing: Processing) -> None:
        """Link `folder/hospitals` to these hospitals, for a run with `processing`.

        Each processing has its own index: the run's is beside the clips, another one is in a view, a folder of links.
        One run at a time may use a view.
        """
        digest = processing.digest()
        place = self.run / HOSPITALS
        if read_index_digests(self.run) - {digest}:
            place = self.run / VIEWS / digest[:12] / HOSPITALS
            for site in list_site_folders(self.run):
                _link_view(site, place / site.name)
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / HOSPITALS
        if link.is_symlink():
            link.unlink()
        link.symlink_to(place.resolve(), target_is_directory=True)


def list_site_folders(run: Path) -> list[Path]:
    """The hospitals' folders of a run, in order of their names."""
    return sorted((run / HOSPITALS).glob("site-*"))


def compute_digests(simulation: Simulation, seed: int) -> dict[str, str]:
    """The digest of every hospital by its site's name."""
    return {
        format_site_name(center): compute_hospital_digest(center, cases, simulation.phantom, seed)
        for center, cases in draw_center_cases(simulation, seed).items()
    }


def read_index_digests(run: Path) -> set[str]:
    """Digests of the processings with which a run's hospitals were indexed."""
    found = set()
    for folder in list_site_folders(run):
        try:
            found.add(read_index(load_site(folder)).digest)
        except ExpectedError:  # not indexed yet
            continue
    return found


def _read_marker(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / MARKER).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError):
        return None


def _link_view(site: Path, view: Path) -> None:
    """Make a view of a hospital: links to its files, with an own work folder."""
    view.mkdir(parents=True, exist_ok=True)
    own = load_site(site)
    for path in sorted(site.iterdir()):
        link = view / path.name
        if path.resolve() not in (own.work, own.records) and not link.is_symlink():
            link.symlink_to(path.resolve(), target_is_directory=path.is_dir())
