"""The phantom hospitals that are attacked: written and indexed once, opened anew for every attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from ceus_models.plan.plan import Plan
from ceus_models.plan.recipe import RecipeRule, compute_recipe
from ceus_models.plan.stages import Statistics
from ceus_models.protocol.messages import Level, Recipe
from ceus_models.protocol.state import add_prefix
from ceus_models.protocol.sums import ExactSum
from client.policy.policy import Policy
from client.worker.site.site import Site
from client.worker.tasks.inference import by_cohort
from client.worker.tasks.tally import tally_of
from sim.attacks.coordinator import CuriousCoordinator
from sim.engine.sites import HospitalOpener
from sim.hospital.prepare import HOSPITALS, PreparedHospital, format_site_name, parse_simulation, prepare_hospitals

CENTERS: Mapping[str, tuple[int, ...]] = {"training_a": (4, 2, 21), "training_b": (46, 43, 45)}
"""By the cohort that their lesions train; the first of each is the attacked one."""
_SHARES: Mapping[str, Mapping[str, float]] = {
    "training_a": {"training_a": 0.62, "validation": 0.17, "external_test_c": 0.21},
    "training_b": {"training_b": 0.83, "external_test_c": 0.17},
}
_REST = 0.32
"""Lesions of every other hospital, as a share of the attacked one's."""
_POLICY = TypeAdapter(Policy)


@dataclass(frozen=True)
class AttackedHospitals:
    """Hospitals of a plan's phantoms below `folder`."""

    folder: Path
    plan: Plan
    seed: int

    def prepare(self, lesions: int, workers: int, tell: Callable[[PreparedHospital, int], None]) -> None:
        """Write and index what is missing; `lesions` of the attacked hospital, a third of it in each other one."""
        simulation = parse_simulation(self.plan.simulation)
        for cohort, centers in CENTERS.items():
            for number, center in enumerate(centers):
                size = lesions * (1.0 if number == 0 else _REST)
                counts = {name: max(1, round(size * share)) for name, share in _SHARES[cohort].items()}
                own = replace(simulation, lesions=counts, centers=(center,), without=())
                prepare_hospitals(own, self.plan.processing, self.seed, self.folder, workers, tell)

    def open(self, cohort: str, plan: Plan, level: Level) -> CuriousCoordinator:
        """The attacker before the hospitals of a cohort, under the policy that comes with a site, at this level."""
        names = {c: format_site_name(c) for centers in CENTERS.values() for c in centers}
        opener = HospitalOpener({n: self.folder / HOSPITALS / n for n in names.values()}, plan.processing)
        policy = build_policy(plan, level)
        sites = {center: replace(opener(name), policy=policy) for center, name in names.items()}
        recipe = learn_recipe(plan, list(sites.values()))
        return CuriousCoordinator([sites[center] for center in CENTERS[cohort]], plan, self.seed, recipe, level)


def build_policy(plan: Plan, level: Level) -> Policy:
    """The policy that comes with a site, with this plan approved and this level as the least for every kind of task."""
    text = resources.files("client.cli").joinpath("policy.example.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    asked = {"training": level, "statistics": level, "evaluation": level}
    values["privacy"] |= {**asked, "minimum_sites": len(CENTERS["training_a"]), "colluding": 0}
    values |= {"studies": {plan.name: plan.digest()}, "accept_risk": "Phantoms that are attacked on purpose."}
    return _POLICY.validate_python(values)


def learn_recipe(plan: Plan, sites: list[Site]) -> Recipe:
    """The recipe of an honest statistics stage over all hospitals."""
    stage = next((stage for stage in plan.stages if isinstance(stage, Statistics)), Statistics("statistics"))
    rule = RecipeRule(
        stage.cohorts, stage.fusion_cohorts, stage.min_correlation, stage.max_class_weight, stage.class_balance
    )
    total = ExactSum()
    for site in sites:
        for cohort, samples in by_cohort(site.samples).items():
            total.add(add_prefix(tally_of(samples), f"{cohort}|"))
    return compute_recipe(total.take_float64(), rule, plan.architecture, plan.fusion_hidden)
