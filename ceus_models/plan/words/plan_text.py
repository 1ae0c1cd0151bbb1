"""A plan in words, for who must approve it: what each stage asks, what leaves, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ceus_models.plan.terms.net_groups import expand_names
from ceus_models.plan.terms.participation import USUAL_SITES
from ceus_models.plan.words.outline import PlanOutline, StageOutline
from ceus_models.plan.words.privacy_cost import COLLUDING, compute_costs
from ceus_models.plan.words.traffic import Traffic, estimate_traffic
from ceus_models.protocol.messages import Level, LocalRule
from ceus_models.runtime.humanize import format_duration, format_size
from ceus_models.study.cohorts import is_of_one_center
from ceus_models.study.inclusion import describe_inclusion

LEVEL_WORDS: Mapping[Level, str] = {
    "none": "the coordinator sees this hospital's own sums",
    "sums": "the coordinator sees sums over hospitals only",
    "distributed": "sums over hospitals, with noise that hides each patient",
    "local": "every number of this hospital carries the whole noise",
}
"""What each level of privacy shows."""
_TITLES = {
    "hello": "introduction",
    "statistics": "tally",
    "train": "training",
    "evaluate": "evaluation",
}
_STRATEGIES = {"fedavg": "FedAvg", "fedprox": "FedProx", "fedadam": "FedAdam", "fedavgm": "FedAvgM"}
_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}

Line = tuple[str, str]
"""What, and what holds."""
Seconds = Mapping[tuple[str, str], float]
"""(stage, question) → seconds that such a task took at this site."""


@dataclass(frozen=True)
class StageText:
    """title: `submodels: training, 60 rounds` · lines: what it does."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class PlanText:
    """lines: of the whole plan · shortage: why its rounds have too few sites, "" where they have enough."""

    name: str
    lines: tuple[Line, ...]
    stages: tuple[StageText, ...]
    shortage: str


def describe_plan(plan: PlanOutline, seconds: Seconds | None = None) -> PlanText:
    """Describe a plan.

    Args:
        plan: to describe.
        seconds: that its tasks took here before; None where no site asks.
    """
    traffic = estimate_traffic(plan)
    stages = tuple(_describe_stage(stage, plan, traffic[stage.name]) for stage in plan.stages)
    return PlanText(plan.name, tuple(_describe_whole(plan, traffic, seconds)), stages, _find_shortage(plan))


def _describe_whole(plan: PlanOutline, traffic: Mapping[str, Traffic], seconds: Seconds | None) -> Iterator[Line]:
    rounds = sum(stage.rounds + stage.count_validations() for stage in plan.stages)
    yield "asks", f"{len(plan.stages)} stages, {rounds} rounds: {', '.join(stage.name for stage in plan.stages)}"
    least = plan.least_sites()
    others = [f"{name} {count}" for name, count in least.items() if count != plan.quorum.sites]
    yield (
        "sites in a round",
        f"at least {plan.quorum.sites}" + "".join(f", {one}" for one in others) + f"; {plan.quorum.share:.0%} of those "
        "with such lesions" + (f"; never without {', '.join(plan.quorum.required)}" if plan.quorum.required else ""),
    )
    yield "privacy spent", "; ".join(_describe_costs(plan))
    down, up = sum(one.down for one in traffic.values()), sum(one.up for one in traffic.values())
    yield "bytes", f"about {format_size(down)} to this site and {format_size(up)} from it, counts come on top (kB)"
    if seconds is not None:
        yield "hours", _describe_hours(plan, seconds)
    times = plan.deadlines
    yield (
        "deadlines",
        f"{format_duration(times.first_s)} for the first answer of a kind, later {times.factor:g} times the longest of "
        f"the site's last five; never more than {format_duration(times.most_s)}",
    )
    yield "software", _describe_software(plan)
    cut = plan.processing
    yield (
        "samples",
        f"{cut.frames} key frames of {cut.size} px and {cut.flow_maps} flow maps of {cut.flow_size} px a lesion",
    )
    yield "lesions", describe_inclusion(cut.inclusion)
    yield "nets", _describe_nets(plan)


def _describe_stage(stage: StageOutline, plan: PlanOutline, traffic: Traffic) -> StageText:
    rounds = f", {stage.rounds} round{'s' * (stage.rounds != 1)}" if stage.stage == "train" else ""
    return StageText(f"{stage.name}: {_TITLES[stage.stage]}{rounds}", tuple(_list_lines(stage, plan, traffic)))


def _list_lines(stage: StageOutline, plan: PlanOutline, traffic: Traffic) -> Iterator[Line]:
    if stage.nets:
        count = len(expand_names(stage.nets))
        yield "nets", ", ".join(stage.nets) + (f" ({count})" if count != len(stage.nets) else "")
    cohorts = tuple(dict.fromkeys((*stage.cohorts, *stage.fusion_cohorts)))
    yield "lesions of", ", ".join(cohorts) or "every cohort, counted"
    if stage.rule and stage.stage == "train":
        yield "rule", _describe_rule(stage, stage.rule)
    if stage.validation:
        every = "every round" if stage.validation.every == 1 else f"every {stage.validation.every} rounds"
        yield "validation", f"{every} on {', '.join(stage.validation.cohorts)}"
    yield "leaves", _describe_leaving(stage)
    yield "privacy", _describe_level(stage)
    yield "sites", f"at least {plan.least_sites()[stage.name]}"
    if traffic.down:
        back = format_size(traffic.round_up) if traffic.round_up else "counts (kB)"
        each = f"{format_size(traffic.round_down)} to this site, {back} from it"
        whole = f"; in all {format_size(traffic.down)} and {format_size(traffic.up)}" if stage.stage == "train" else ""
        yield "bytes", f"about {each} a round{whole}"


def _describe_rule(stage: StageOutline, rule: LocalRule) -> str:
    strategy = str(stage.strategy.get("name", "fedavg"))
    numbers = [f"{name} {value:g}" for name, value in stage.strategy.items() if isinstance(value, int | float)]
    parts = [" ".join([_STRATEGIES.get(strategy, strategy), *numbers]).replace("mu ", "µ ")]
    if rule.private:
        parts.append(
            f"one gradient a patient, clipped to {rule.private.clip:g}, noise {rule.private.noise:g} times that, "
            f"made by {rule.private.sites} site{'s' * (rule.private.sites > 1)}; step {rule.learning_rate:g}"
        )
    else:
        parts.append(f"{rule.epochs} epoch{'s' * (rule.epochs > 1)} of batches of {rule.batch_size} at each site")
        parts.append(f"{_OPTIMIZERS[rule.optimizer]}, learning rate {rule.learning_rate:g}")
        parts += ["which falls to 0 along a half cosine"] if stage.schedule == "cosine" else []
        named = (("momentum", rule.momentum), ("weight decay", rule.weight_decay), ("proximal µ", rule.proximal_mu))
        parts += [f"{name} {value:g}" for name, value in named if value]
        parts += [f"gradient clipped to {rule.clip:g}"] if rule.clip else []
    parts += ["heads only"] if rule.trains == "heads" else []
    parts += [rule.precision] if rule.precision != "float32" else []
    parts += ["images flipped and shifted at random"] if rule.augment else []
    parts += [f"{stage.share:.0%} of the sites in a round"] if stage.share < 1 else []
    return ", ".join(parts)


def _describe_leaving(stage: StageOutline) -> str:
    """What leaves a site in one sentence."""
    if stage.stage == "hello":
        return "how many lesions and patients each cohort has, and which software is installed"
    if stage.stage == "statistics":
        return "counts of types, biomarkers and groups; sums and squares of clinical variables and of image levels"
    if stage.stage == "evaluate":
        rows = f"; {stage.paired_replicates} REPLICATES, WHICH ARE ROW-LEVEL DATA" if stage.paired_replicates else ""
        return f"tables that count right and wrong answers by score, group and reader{rows}; no lesion by itself"
    if stage.rule and stage.rule.private:
        return "one noised sum of the patients' gradients a net and round"
    bits = f", rounded to {stage.changes.bits} bits" if stage.changes else ""
    counts = "; in rounds of validation counts by score" if stage.validation else ""
    return f"how training here changes each net{bits}, with the number of lesions and their mean loss{counts}"


def _describe_level(stage: StageOutline) -> str:
    if stage.stage == "hello":
        return "none: the coordinator sees the numbers of this hospital"
    noise = f"; noise {stage.noise:g}, made by {stage.noise_sites} sites" if stage.noise else ""
    if stage.level == "local" and stage.noise:
        noise = f"; noise {stage.noise:g} at each site"
    alone = [cohort for _, level, asked in stage.list_asked() if level == "sums" for cohort in asked]
    alone = [cohort for cohort in dict.fromkeys(alone) if is_of_one_center(cohort)]
    own = f"; {', '.join(alone)} of one hospital alone, whose own numbers the total is" if alone else ""
    return f"{stage.level}: {LEVEL_WORDS[stage.level]}{noise}{own}"


def _describe_costs(plan: PlanOutline) -> Iterator[str]:
    costs = compute_costs(plan)
    for cost in costs:
        yield (
            f"a patient of {cost.cohort} ε {cost.total:.2f} at δ {plan.delta:g}, {cost.honest:.2f} if {COLLUDING} "
            f"other sites tell their noise, {cost.own:.2f} if all do"
        )
    bare = [
        stage.name
        for stage in plan.stages
        if stage.stage != "hello" and not stage.noise and not (stage.rule and stage.rule.private)
    ]
    if bare:
        yield f"no noise hides a patient in {', '.join(bare)}, so nothing bounds ε there"


def _describe_hours(plan: PlanOutline, seconds: Seconds) -> str:
    """By what this site measured; what it has not measured is said."""
    known, unknown = 0.0, []
    for stage in plan.stages:
        rounds = {stage.question: stage.rounds} | ({"evaluate": stage.count_validations()} if stage.validation else {})
        for question, count in rounds.items():
            took = seconds.get((stage.name, question))
            known += (took or 0.0) * count
            unknown += [stage.name] if took is None and stage.name not in unknown and question != "hello" else []
    if not unknown:
        return f"about {format_duration(known)} of this machine, as such tasks took here before"
    if known:
        return f"about {format_duration(known)} of this machine, and unknown for {', '.join(unknown)} until first asked"
    return "unknown: no such task was answered here yet; the first rounds tell"


def _describe_software(plan: PlanOutline) -> str:
    needed = plan.software
    parts = [f"fedceus {needed.fedceus}"] if needed.fedceus else []
    parts += [f"the package {needed.package[:12]}…"] if needed.package else []
    return f"{' and '.join(parts)} at every site" if parts else "any with the same protocol"


def _describe_nets(plan: PlanOutline) -> str:
    shape = plan.architecture
    depths = f"ResNet{shape.spatial_depth} over frames, ResNet{shape.temporal_depth} over flow, width {shape.width}"
    shared = ", one trunk for the nine sub-models" if plan.sharing == "trunk" else ""
    public = f"; public weights for {', '.join(plan.pretrained)}" if plan.pretrained else ""
    return f"{depths}, {shape.norm.replace('_', ' ')} norm{shared}{public}"


def _find_shortage(plan: PlanOutline) -> str:
    least = min(plan.least_sites().values())
    if least >= USUAL_SITES:
        return ""
    return (
        f"a round counts with the sums of {least} site{'s' * (least > 1)}, {USUAL_SITES} are usual: with fewer, the "
        "others can work out what this hospital gave"
    )
