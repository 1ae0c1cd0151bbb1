"""The phantom hospitals that are attacked: written and indexed once, opened anew for every attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from pydantic import TypeAdapter

from ceus_models.plan.given_recipe import Given
from ceus_models.plan.plan import Plan, Stage
from ceus_models.plan.recipe import RecipeRule, compute_recipe
from ceus_models.plan.stages import Evaluate, Statistics
from ceus_models.plan.strategies import FedAvgM
from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.messages import Level, LocalRule, PrivateRule, Recipe
from ceus_models.protocol.privacy.accountant import noise_for
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.protocol.state import add_prefix
from ceus_models.protocol.sums import ExactSum
from ceus_models.runtime.yaml_lines import parse_yaml_with_lines
from ceus_models.study.taxonomy import FUSION_NETS
from client.policy.policy import Policy
from client.policy.policy_file import POLICY_FILE
from client.worker.site.site import Site
from client.worker.tasks.inference import by_cohort
from client.worker.tasks.tally import tally_of
from sim.attacks.coordinator import CuriousCoordinator
from sim.engine.sites import HospitalOpener
from sim.hospital.prepare import HOSPITALS, PreparedHospital, format_site_name, parse_simulation, prepare_hospitals

CENTERS: Mapping[str, Mapping[int, Mapping[str, int]]] = {
    "training_a": {
        4: {"training_a": 70, "validation": 20, "external_test_c": 24},
        2: {"training_a": 22, "validation": 6, "external_test_c": 8},
        21: {"training_a": 22, "validation": 6, "external_test_c": 8},
    },
    "training_b": {center: {"training_b": 40, "external_test_c": 8} for center in (46, 43, 45, 41)},
}
"""Lesions of each center, by the cohort that it trains; the first of each is the attacked one."""
_LESIONS = 114
"""Of the first hospital above."""
EPSILON = 2.99
"""Just below the cap of the policy that comes with a site."""
_SELECTED = (
    *("age", "sex", "viral_hepatitis", "malignancy_history", "cirrhosis", "tumor_size"),
    *("AFP", "CEA", "CA19-9", "WBC"),
)
"""Of a plan without constants of its own."""
_POLICY = TypeAdapter(Policy)


@dataclass(frozen=True)
class AttackedHospitals:
    """Hospitals of a plan's phantoms below `folder`."""

    folder: Path
    plan: Plan
    seed: int

    def prepare(self, lesions: int, workers: int, tell: Callable[[PreparedHospital, int], None]) -> None:
        """Write and index what is missing, with `lesions` of the first hospital and the others in proportion."""
        simulation = parse_simulation(self.plan.simulation)
        for centers in CENTERS.values():
            for center, held in centers.items():
                counts = {name: max(1, round(count * lesions / _LESIONS)) for name, count in held.items()}
                own = replace(simulation, lesions=counts, centers=(center,), without=())
                prepare_hospitals(own, self.plan.processing, self.seed, self.folder, workers, tell)

    def open(self, cohort: str, level: Level) -> CuriousCoordinator:
        """The attacker before the hospitals of a cohort, under the policy that comes with a site, at this level."""
        plan = protect_plan(self.plan, level)
        names = {center: format_site_name(center) for centers in CENTERS.values() for center in centers}
        opener = HospitalOpener({n: self.folder / HOSPITALS / n for n in names.values()}, plan.processing)
        policy = build_policy(plan, level)
        sites = {center: replace(opener(name), policy=policy) for center, name in names.items()}
        recipe = learn_recipe(plan, list(sites.values()))
        return CuriousCoordinator([sites[center] for center in CENTERS[cohort]], plan, self.seed, recipe, level)


def protect_plan(plan: Plan, level: Level) -> Plan:
    """The plan with its stages at this level: without noise, or with as much as ε of the policy that comes with a site.

    A private plan has constants in place of statistics, and no validation. Sub-models have nets of their own, whatever
    the plan shares: the attacks craft single ones, and no protection depends on it.
    """
    plan = replace(plan, sharing="separate")
    if level not in ("distributed", "local"):
        return replace(plan, stages=tuple(_set_plain(stage, level) for stage in plan.stages))
    sites = LEAST_SITES if level == "distributed" else 1
    kept = [stage for stage in plan.stages if not isinstance(stage, Statistics)]
    released = sum(isinstance(stage, Train | Evaluate) for stage in kept)

    def find_noise(rounds: int, nets: int) -> float:
        """As much that a patient who is in every stage stays within the cap."""
        return noise_for(EPSILON, plan.delta, rounds * released, nets)

    stages = [_set_private(stage, level, sites, find_noise) for stage in kept]
    return replace(plan, stages=tuple(stages), given=plan.given or Given(selected=_SELECTED))


def _set_plain(stage: Stage, level: Level) -> Stage:
    if isinstance(stage, Train):
        return replace(stage, level=level, rule=replace(stage.rule, private=None))
    if isinstance(stage, Evaluate):
        return replace(stage, level=level, noise=0.0, paired_replicates=0)
    return replace(stage, level=level) if isinstance(stage, Statistics) else stage


def _set_private(stage: Stage, level: Level, sites: int, find_noise: Callable[[int, int], float]) -> Stage:
    if isinstance(stage, Evaluate):
        return replace(
            stage,
            level="distributed",
            paired_replicates=0,
            noise=find_noise(1, 1),
            noise_sites=LEAST_SITES,
        )
    if not isinstance(stage, Train):
        return stage
    nets = expand_names(stage.nets)
    noise = find_noise(stage.rounds, len(nets))
    private = PrivateRule(clip=1.0, noise=noise, sites=sites)
    heads = not set(nets) & set(FUSION_NETS)
    rule = LocalRule(learning_rate=0.3, momentum=0.0, trains="heads" if heads else "all", private=private)
    return replace(stage, strategy=FedAvgM(), validate=None, share=1.0, rule=rule, level=level)


def build_policy(plan: Plan, level: Level) -> Policy:
    """The policy that comes with a site, with this plan approved and this level as the least for every kind of task."""
    content = resources.files("client.cli").joinpath("policy.example.yaml").read_bytes()
    values = parse_yaml_with_lines(content, POLICY_FILE, "bad-policy-file").values
    tallied: Level = "none" if level == "none" else "sums"
    tested: Level = "distributed" if level == "local" else level
    asked = {"training": level, "statistics": tallied, "evaluation": tested}
    values["privacy"] |= {**asked, "minimum_sites": LEAST_SITES, "colluding": 0}
    values |= {"studies": {plan.name: plan.digest()}, "accept_risk": "Phantoms that are attacked on purpose."}
    return _POLICY.validate_python(values)


def learn_recipe(plan: Plan, sites: list[Site]) -> Recipe:
    """The plan's own constants, or the recipe of an honest statistics stage over all hospitals."""
    if plan.given is not None:
        return plan.given.recipe(plan.architecture, plan.fusion_hidden)
    stage = next((stage for stage in plan.stages if isinstance(stage, Statistics)), Statistics("statistics"))
    rule = RecipeRule(
        stage.cohorts, stage.fusion_cohorts, stage.min_correlation, stage.max_class_weight, stage.class_balance
    )
    total = ExactSum()
    for site in sites:
        for cohort, samples in by_cohort(site.samples).items():
            total.add(add_prefix(tally_of(samples), f"{cohort}|"))
    return compute_recipe(total.take_float64(), rule, plan.architecture, plan.fusion_hidden)
