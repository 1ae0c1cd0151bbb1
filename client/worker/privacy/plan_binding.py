"""A site answers its approved plan: what the plan does not ask is refused, and each round is answered once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from pydantic import TypeAdapter

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan, Stage, parse_plan
from ceus_models.plan.requests import find_expected_task, list_differences, list_new_nets
from ceus_models.plan.rounds.backbones import remove_backbones, select_backbone
from ceus_models.plan.stages import Statistics
from ceus_models.plan.terms.pretrained import Stream
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.message_ids import SESSION_MARK, ReceivedTask
from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, digest, select_net
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.study.taxonomy import CLINICAL, FUSION_NETS, count_outputs
from client.policy.policy import TaskDeclined
from client.worker.privacy.study_facts import StudyFacts
from client.worker.privacy.task_checks import SESSION_KINDS

_RECIPE = TypeAdapter(Recipe)
CLOSE_RELATIVE, CLOSE_ABSOLUTE = 1e-4, 1e-6
"""Initial weights of one seed differ between processor models in their last digits only."""
MOST_LEVEL_SD, MOST_FLOW_PX = 1.0, 100.0
ROUNDED = 1e-4
"""Of a variable's range: sums are rounded, so a mean of equal values may lie that far from them."""


@dataclass(frozen=True)
class PlanBinding:
    """The plans that a site holds, and what it was asked of each.

    Args:
        folder: of the plans, a file each, named by its digest.
        facts: what is settled in each study.
    """

    folder: Path
    facts: StudyFacts = field(default_factory=StudyFacts)

    def check(self, received: ReceivedTask) -> Plan:
        """Check a task against its plan, and settle what it settles, before any work.

        Returns:
            The plan.

        Raises:
            TaskDeclined: the site does not hold the plan, the plan asks something else, or the round was asked before
                with other contents.
            AuditError: the record of the study was changed or cannot be written.
        """
        task = received.task
        plan = self._take_plan(task)
        self._settle(task, "seed", str(task.seed), "expected the seed with which this study began here")
        if task.kind in SESSION_KINDS:  # of the secure sum of a round; its session is checked by its own rules
            return plan
        found = find_expected_task(plan, task)
        if found is None:
            raise TaskDeclined("plan", f"the plan asks no {task.kind} in round {task.round} of a stage of this name")
        index, expected = found
        if other := list(list_differences(task, expected)):
            raise TaskDeclined("plan", f"expected the plan's {', '.join(other)} in this task, found others")
        self._check_inputs(task, expected)
        _check_dtypes(plan, plan.stages[index], task)
        if task.recipe is not None:
            _check_recipe_of(plan, task.recipe)
            text = json.dumps(_RECIPE.dump_python(task.recipe, mode="json"), sort_keys=True)
            self._settle(task, "recipe", _hash(text), "expected one recipe for the whole study")
        if task.frozen:
            self._settle(task, f"frozen|{task.stage}", task.frozen, "expected one set of sub-models in a stage")
        self._check_initial(plan, task)
        self._settle_round(received, index)
        return plan

    def load(self, study: str) -> Plan | None:
        """The plan of a digest, or None where the site does not hold it."""
        path = self.folder / f"{study}.json"
        try:
            return _parse(path.read_text(encoding="utf-8"), study)
        except OSError:
            return None

    def list_plans(self) -> list[Plan]:
        """All plans that the site holds."""
        held = (self.load(path.stem) for path in sorted(self.folder.glob("*.json")))
        return [plan for plan in held if plan is not None]

    def _take_plan(self, task: Task) -> Plan:
        if task.kind == "hello" and task.plan:
            plan = _parse(task.plan, task.study)
            if plan is None:
                raise TaskDeclined(
                    "plan", "expected the plan whose digest the task names, found another; send that one"
                )
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.folder / f"{task.study}.json"
            if not path.exists():
                write_atomically(path, task.plan.encode())
            return plan
        plan = self.load(task.study)
        if plan is None:
            raise TaskDeclined("plan", "this site does not hold the study's plan; send it with hello first")
        return plan

    def _settle(self, task: Task, name: str, value: str, rule: str) -> None:
        if not self.facts.settle(task.study, name, value):
            raise TaskDeclined("plan", f"{rule}, found another; ask as before")

    def _find_furthest(self, study: str) -> int:
        """Index of the latest stage of which the site was asked."""
        asked = (name.split("|") for name in self.facts.list_names(study))
        return max((int(parts[1]) for parts in asked if parts[0] == "asked"), default=0)

    def _check_inputs(self, task: Task, expected: Task) -> None:
        """Tensors that belong to no net are the plan's own, or of the session of a secure sum."""
        for name in task.inputs:
            if "|" not in name and name not in expected.inputs and not (task.session and name.startswith(SESSION_MARK)):
                raise TaskDeclined("plan", f"expected the plan's tensors, found {name[:60]!r} as well; leave it out")

    def _check_initial(self, plan: Plan, task: Task) -> None:
        """Compare the weights with which the study begins with those of its seed."""
        if task.recipe is None:
            return
        for net in list_new_nets(plan, task):
            sent = select_net(task.inputs, net)
            streams = () if net in FUSION_NETS else tuple(plan.pretrained)
            for stream in streams:
                if digest(select_backbone(sent, stream)) != plan.pretrained[stream].digest:
                    raise TaskDeclined("plan", f"expected the plan's {stream} backbone in {net}, found another")
            seeded = (net, _RECIPE.dump_json(task.recipe), task.seed, streams)
            drawn = remove_backbones(sent, streams)
            if digest(drawn) != _initial_digest(*seeded) and not _is_close(drawn, _initial_state(*seeded)):
                raise TaskDeclined("plan", f"expected the initial weights of {net} by the study's seed, found others")

    def _settle_round(self, received: ReceivedTask, index: int) -> None:
        """Every (stage, round, kind) has one content; the attempt counts as a round of its own."""
        task = received.task
        if task.attempt and task.level not in ("distributed", "local"):
            raise TaskDeclined("plan", f"expected attempt 0 at level {task.level}, found {task.attempt}")
        name = f"asked|{index}|{task.round}|{task.kind}|{task.attempt}"
        if index and not self.facts.find(task.study, name) and index < self._find_furthest(task.study):
            raise TaskDeclined("plan", f"{task.stage} was over when a later stage began here; ask what comes next")
        if not self.facts.settle(task.study, name, received.question):
            raise TaskDeclined(
                "plan",
                f"round {task.round} of {task.stage} was asked before with other contents; a round is asked once",
            )


@lru_cache(maxsize=8)
def _parse(text: str, study: str) -> Plan | None:
    """The plan in canonical JSON, or None where it has faults or another digest."""
    try:
        plan, faults = parse_plan(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return plan if plan is not None and not faults and plan.digest() == study else None


@lru_cache(maxsize=64)
def _initial_digest(net: str, recipe: bytes, seed: int, pretrained: tuple[Stream, ...]) -> str:
    return digest(_initial_state(net, recipe, seed, pretrained))


def _initial_state(net: str, recipe: bytes, seed: int, pretrained: tuple[Stream, ...]) -> State:
    """The tensors that the seed gives: without the backbones that have public weights."""
    return remove_backbones(build_initial_state(net, _RECIPE.validate_json(recipe), seed), pretrained)


def _is_close(sent: State, drawn: State) -> bool:
    return sent.keys() == drawn.keys() and all(
        torch.allclose(sent[n], drawn[n], CLOSE_RELATIVE, CLOSE_ABSOLUTE) for n in sent
    )


def _check_dtypes(plan: Plan, stage: Stage, task: Task) -> None:
    """Check that weights are of the plan's dtype."""
    rounded = isinstance(stage, Train) and stage.sends_rounded(task.kind, task.round)
    nets = stage.list_trained_nets(plan.sharing) if isinstance(stage, Train) else ()
    for name, tensor in task.inputs.items():
        weights = "|#" not in name and name.partition("|")[0] in nets
        if (tensor.dtype == torch.bfloat16) != (rounded and weights):
            raise TaskDeclined("plan", f"expected the plan's dtype, {name[:60]!r} has another; send weights in that")


def _check_recipe_of(plan: Plan, recipe: Recipe) -> None:
    """Check that a recipe is the plan's, and one that the plan's statistics can give."""
    for fault in _list_recipe_faults(plan, recipe):
        raise TaskDeclined("plan", f"expected {fault}, found another; send the recipe of the study's statistics")


def _list_recipe_faults(plan: Plan, recipe: Recipe) -> Iterator[str]:
    if plan.given is not None:
        if recipe != plan.given.recipe(plan.architecture, plan.fusion_hidden, plan.sharing):
            yield "the plan's given recipe"
        return
    if recipe.architecture != plan.architecture:
        yield "the plan's architecture"
    if recipe.fusion_hidden != plan.fusion_hidden:
        yield "the plan's fusion_hidden"
    if recipe.sharing != plan.sharing:
        yield "the plan's sharing"
    for stage in plan.stages:
        if isinstance(stage, Statistics):
            yield from _list_weight_faults(stage, recipe)
    given = recipe.normaliser
    if not (0 <= given.level_mean <= 1 and 0 < given.level_sd <= MOST_LEVEL_SD and 0 < given.flow_sd <= MOST_FLOW_PX):
        yield "a normaliser of levels from 0 to 1 and of flow in px"
    if (len(given.clinical_mean), len(given.clinical_sd)) != (len(CLINICAL), len(CLINICAL)):
        yield f"means and deviations of {len(CLINICAL)} clinical variables"
        return
    for variable, mean, sd in zip(CLINICAL, given.clinical_mean, given.clinical_sd, strict=True):
        low, high = variable.apply_transform(variable.low), variable.apply_transform(variable.high)
        slack = ROUNDED * (high - low)
        unknown = mean == 0 and sd == 1  # no lesion has the variable
        if not unknown and not (
            low - slack <= mean <= high + slack and 0 < sd <= max(1.0, high - low) and math.isfinite(sd)
        ):
            yield f"a mean and deviation of {variable.name} within its plausible range"


def _list_weight_faults(stage: Statistics, recipe: Recipe) -> Iterator[str]:
    """Class weights (N / k n)^balance lie between (1 / k)^balance and the stage's bound, whatever the counts are."""
    for net, weights in recipe.class_weights.items():
        least = (1 / max(2, count_outputs(net))) ** stage.class_balance
        if not all(least * (1 - 1e-9) <= w <= stage.max_class_weight for w in weights):
            yield f"class weights of {net} from {least:.3g} to {stage.max_class_weight:g}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
