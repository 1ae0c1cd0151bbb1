"""The attacks by name: what each one does, on whose lesions, and how its claims are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ceus_models.protocol.messages import Level
from sim.attacks.audits import canaries, inversion, membership
from sim.attacks.coordinator import SUMMED, CuriousCoordinator
from sim.attacks.crafted import frames, histograms, memories, refusals, replicates, subgroups, tallies, traps
from sim.attacks.facts import Fact, Score, count_recovered

LEVELS: tuple[Level, ...] = ("none", "sums", "distributed", "local")
Facts = Callable[[CuriousCoordinator], Sequence[Fact]]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Args:
        name: as on the command line.
        title: what is asked and wanted, for a table.
        cohort: training_a or training_b: which of the hospitals are attacked.
        recover: asks the sites and returns what it claims. Raises Refused.
        truth: the facts themselves.
        judge: from claims and truth to a score.
        levels: at which it can be tried.
        greets: whether the study begins before the attack does.
        claim: ε that the plan promises of what an audit asks, None for no promise.
    """

    name: str
    title: str
    cohort: str
    recover: Facts
    truth: Facts
    judge: Callable[[Sequence[Fact], Sequence[Fact]], Score] = count_recovered
    levels: tuple[Level, ...] = LEVELS
    greets: bool = True
    claim: Callable[[CuriousCoordinator], float | None] | None = None


def _remember_sum(attacker: CuriousCoordinator) -> Sequence[Fact]:
    """Attack fusion_memory with steps that survive the rounding of a sum."""
    return memories.recover_memory(attacker, class_weight=1.0)


ATTACKS: tuple[Attack, ...] = (
    Attack(
        "fusion_memory",
        "train: 16,384 thresholds, class weights 1e-10, variables twice: all records",
        "training_a",
        memories.recover_memory,
        memories.list_records,
        levels=("none",),
    ),
    Attack(
        "secure_sum_crafted",
        "the same with weights of 1, through the level's sum",
        "training_a",
        _remember_sum,
        memories.list_records,
        levels=("sums", "distributed", "local"),
    ),
    Attack(
        "histogram_code",
        "evaluate: a score that codes age, sex, hepatitis, history, cirrhosis, type",
        "training_a",
        histograms.recover_codes,
        histograms.list_codes,
    ),
    Attack(
        "replicates",
        "evaluate, 12 times: replicates as fingerprints, unmixed by least squares",
        "training_a",
        replicates.recover_replicates,
        replicates.list_bins,
    ),
    Attack(
        "frame",
        "train: convolution of zeros, LSTM as a clock: one frame of a lone lesion",
        "training_a",
        frames.recover_frame,
        frames.list_frame,
        frames.judge_frame,
    ),
    Attack(
        "refusal_oracle",
        "evaluate that overflows by a value: AFP by halves from the refusals",
        "training_a",
        refusals.recover_by_refusals,
        refusals.list_wanted,
    ),
    Attack(
        "tally_difference",
        "two tallies around one new patient: his values",
        "training_a",
        tallies.recover_new_patient,
        tallies.list_new_patient,
        greets=False,
    ),
    Attack(
        "tally_remainder",
        "a total minus the types that are shown: the lone lesion's numbers",
        "training_a",
        tallies.recover_lone_lesion,
        tallies.list_lone_lesion,
        greets=False,
    ),
    Attack(
        "subgroup_tables",
        "evaluate as the plan asks: right about one patient alone: his subgroups and type",
        "training_a",
        subgroups.recover_subgroups,
        subgroups.list_subgroups,
    ),
    Attack(
        "planned_histogram",
        "evaluate as the plan asks, crafted weights: laboratory values by the bin of a score",
        "training_a",
        histograms.recover_labs,
        histograms.list_labs,
    ),
    Attack(
        "planned_training",
        "train as the plan asks, crafted weights: units that one patient moves",
        "training_b",
        traps.recover_planned_training,
        traps.list_planned,
    ),
    Attack(
        "repeated_round",
        "the same round eight times with other weights",
        "training_b",
        traps.recover_repeated_round,
        traps.list_planned,
    ),
    Attack(
        "near_repeat",
        "the round again without one hospital, weights moved by 1e-9: its records",
        "training_b",
        traps.recover_near_repeat,
        traps.list_first_site,
        levels=SUMMED,
    ),
    Attack(
        "two_openings",
        "one secure sum opened for all hospitals, then without one: its records",
        "training_b",
        traps.recover_two_openings,
        traps.list_first_site,
        levels=SUMMED,
    ),
    Attack(
        "plan_substitution",
        "another plan with the same stages and a width of 16,384",
        "training_a",
        memories.recover_substituted,
        memories.list_records,
    ),
    Attack(
        "lone_type",
        "train, honest weights, class weights (0, 1): the lone lesion of a type",
        "training_a",
        memories.recover_lone_types,
        memories.list_lone_types,
    ),
    Attack(
        "canaries",
        "one-run audit: which of the planted patients took part",
        "training_b",
        canaries.recover_canaries,
        canaries.list_coins,
        canaries.judge_canaries,
        greets=False,
        claim=canaries.state_claim,
    ),
    Attack(
        "membership",
        "likelihood ratio over shadow nets: who took part in a released net",
        "training_b",
        membership.recover_members,
        membership.list_members,
        membership.judge_members,
    ),
    Attack(
        "inversion",
        "images whose gradient is a lone lesion's (Geiping et al. 2020)",
        "training_a",
        inversion.recover_images,
        inversion.list_images,
        inversion.judge_images,
    ),
)
"""First the crafted questions that led to the levels, then what a plan itself leaves open, then audits."""
