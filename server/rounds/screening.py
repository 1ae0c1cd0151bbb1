"""Screening of every answer before it counts. A faulty site is excluded by name, and the round continues.

All bounds are fixed before the round (from hello and from the previous round), so the result for a site does not
depend on the other sites, or on the order of answers. Eight faults that stock Flower accepts or crashes on have a test
each: NaN, 1e30, a missing, an extra or a misshapen tensor, a huge or negative weight, an averaged integer. An update
with too large a norm is rejected (Sun et al. 2019 clip it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch

from ceus_models.metrics.ood import REQUEST_TENSOR
from ceus_models.plan.answers.answer_schema import Group, find_shape_fault, groups_of
from ceus_models.plan.answers.change_grid import find_numbers_fault, read_grid, restore_changes
from ceus_models.plan.progress import Progress
from ceus_models.plan.terms.settings import Screening
from ceus_models.plan.train_stage import count_local_steps
from ceus_models.protocol.messages import PrivateRule, Task, Update
from ceus_models.protocol.privacy.secure_session import SUMS_KEY
from ceus_models.protocol.software import RequiredSoftware
from ceus_models.protocol.state import State, is_finite, norm, split_by_net
from ceus_models.protocol.sums import EXACT_LIMIT, STEPS_PER_UNIT
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.study.subgroups import build_slices
from server.rounds.plausible_counts import find_count_fault, find_note_fault

LARGEST_PER_LESION = 2e4
"""Bound on any float sum of a tally, per lesion: above the square of every plausible clinical value."""


class Verdict(NamedTuple):
    """The result of screening.

    Args:
        fault: the first broken rule, or None.
        norms: of a training answer's change, by net, per unit weight and local step.
    """

    fault: str | None
    norms: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Gate:
    """Screening of the answers of one round.

    Args:
        lesions: by site and cohort, as declared in hello.
        reference: per net, the previous round's median norm of change per local step; empty in the first round.
        asked: number of sites in the round.
        software: that the plan requires.
    """

    task: Task
    screening: Screening
    lesions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)
    asked: int = 1
    software: RequiredSoftware = field(default_factory=RequiredSoftware)

    @cached_property
    def _groups(self) -> Mapping[str, Group]:
        return groups_of(self.task)

    @cached_property
    def _own_norms(self) -> Mapping[str, float]:
        return {net: norm(state) for net, state in split_by_net(self.task.inputs).items() if net in self.task.nets}

    def screen(self, site: str, update: Update) -> Verdict:
        """Check one answer. Its numbers are read once, into norms, which suffice for most checks."""
        if update.site != site:
            return Verdict(f"the answer must name the site {site!r}, found {update.site!r}", {})
        if update.task != compute_task_id(self.task):
            return Verdict("the answer must be to this round's task, but is to an earlier round or another study", {})
        if fault := find_shape_fault(update.sums, self._groups):
            return Verdict(fault, {})
        if self.task.changes:
            if fault := find_numbers_fault(update.sums, self.task):
                return Verdict(fault, {})
            update = replace(update, sums=restore_changes(update.sums, self.task))
        changes = {net: norm(state) for net, state in self._states(update.sums).items()}
        others = {name: t for name, t in update.sums.items() if not changes or "|#" in name}
        overall = math.hypot(*changes.values(), norm(others))
        fault = (
            self._not_finite(update.sums, overall)
            or self._implausible(site, update, changes)
            or self._too_large(update.sums, overall)
        )
        return Verdict(fault, {} if fault else self._per_step(update.sums, changes))

    def _per_step(self, sums: State, changes: Mapping[str, float]) -> dict[str, float]:
        if self.task.rule is None or self.task.rule.private:
            return {}
        weights = {net: float(sums[f"{net}|#weight"]) for net in changes}
        return {net: changes[net] / w / count_local_steps(w, self.task.rule) for net, w in weights.items()}

    def _states(self, sums: State) -> Mapping[str, State]:
        return split_by_net(sums) if self.task.kind == "train" else {}

    def _not_finite(self, sums: State, overall: float) -> str | None:
        if math.isfinite(overall) or is_finite(sums):
            return None
        odd = next(name for name, tensor in sorted(sums.items()) if not is_finite({name: tensor}))
        return f"{odd} must be finite, but holds NaN or infinity"

    def _too_large(self, sums: State, overall: float) -> str | None:
        """Sums are exact only below a bound (protocol.sums); each site may use its share of it."""
        if overall < EXACT_LIMIT / max(STEPS_PER_UNIT.values()) / max(self.asked, 1):
            return None  # no number exceeds the norm of all
        for name, tensor in sums.items():
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            bound = EXACT_LIMIT / STEPS_PER_UNIT[tensor.dtype] / max(self.asked, 1)
            if float(tensor.abs().max()) >= bound:
                return f"{name} must stay below {bound:.3g} for one site, found {float(tensor.abs().max()):.3g}"
        return None

    def _implausible(self, site: str, update: Update, changes: Mapping[str, float]) -> str | None:
        if self.task.kind == "hello":
            other = self.software.find_mismatch(update.software) if update.software else None
            return other or _bad_hello(update.sums)
        held = self.lesions.get(site, {})
        lesions = sum(held.get(cohort, 0) for cohort in self.task.cohorts)
        most = lesions * max(1, len(self.task.nets))
        if not 0 <= update.weight <= most:  # false for NaN too
            return f"weight must be 0 to {most} ({lesions} lesions in hello), found {update.weight:g}"
        if self.task.kind == "tally":
            return find_tally_fault(update.sums, held)
        if self.task.kind == "evaluate":
            return find_count_fault(update.sums, held, self.task)
        if private := self.task.rule and self.task.rule.private:
            groups = {net: sum(math.prod(spec.shape) for spec in group.values()) for net, group in self._groups.items()}
            bounds = {net: _bound_private_norm(private, lesions, numbers) for net, numbers in groups.items()}
            over = (net for net in self._groups if not changes.get(net, math.inf) <= bounds[net])
            return next((f"{net} must be there with norm at most {bounds[net]:.3g}" for net in over), None)
        faults = (self._bad_change(net, change, update.sums, lesions) for net, change in changes.items())
        return next((fault for fault in faults if fault), None)

    def _bad_change(self, net: str, change: float, sums: State, lesions: int) -> str | None:
        if fault := find_note_fault(sums, net, lesions):
            return fault
        weight = float(sums[f"{net}|#weight"])
        moved = change / weight
        bound = self._norm_bound(net, weight)
        if moved > bound:
            return f"change of {net} per unit weight must be at most {bound:.3g}, found {moved:.3g}"
        return None

    def _norm_bound(self, net: str, weight: float) -> float:
        step, least = self.state_bound(net)
        rounding = read_grid(self.task, net).rounding if self.task.changes else 0.0
        return rounding + (max(step * count_local_steps(weight, self.task.rule), least) if self.task.rule else least)

    def state_bound(self, net: str) -> tuple[float, float]:
        """The largest norm of a change per unit weight: that of each local step, and what is always accepted."""
        own = self._own_norms[net]
        if net not in self.reference or self.task.rule is None:
            return 0.0, self.screening.first * own
        return self.screening.factor * self.reference[net], self.screening.floor * own


def compute_reference(progress: Progress, task: Task) -> dict[str, float]:
    """Per net of a training task, the median norm of the latest round of the same stage that trained it."""
    reference: dict[str, float] = {}
    for record in progress.participation:
        if record.stage == task.stage and record.kind == "train":
            reference.update(record.norms)
    return {net: reference[net] for net in task.nets if net in reference} if task.kind == "train" else {}


def _bound_private_norm(private: PrivateRule, patients: int, numbers: int) -> float:
    """The norm of a noised sum of clipped gradients, which less than one honest site in 10^9 exceeds."""
    noise = private.noise * private.clip / math.sqrt(private.sites)
    return patients * private.clip + noise * (math.sqrt(numbers) + 7)


def _bad_hello(sums: State) -> str | None:
    for name, count in sums.items():
        if name == SUMS_KEY:
            continue
        cohort, what = name.split("|")
        if int(count) < 0 or int(count) > 1_000_000:
            return f"{name} must be 0 to 1000000, found {int(count)}"
        if what == "patients" and int(count) > int(sums[f"{cohort}|lesions"]):
            return f"{cohort} must have at most as many patients as lesions, found {int(count)} patients"
    return None


def find_tally_fault(sums: State, held: Mapping[str, int]) -> str | None:
    """Find the first implausible sum of a tally: the error as text, or None. held: lesions by cohort."""
    for name, tensor in sums.items():
        cohort, what = name.split("|")
        lesions = held.get(cohort, 0)
        counts = _counts_in(what, tensor)
        if bool((counts < 0).any()) or float(counts.max()) > lesions:
            found = f"{float(counts.min()):g} to {float(counts.max()):g}"
            return f"{name} must count 0 to {lesions} lesions (as in hello), found {found}"
        if tensor.is_floating_point() and float(tensor.abs().max()) > LARGEST_PER_LESION * max(lesions, 1):
            return f"{name} is too large for {lesions} lesions: {float(tensor.abs().max()):.3g}"
    return None


def _counts_in(what: str, tensor: torch.Tensor) -> torch.Tensor:
    """The entries that count lesions, and the sums of those that may not exceed the number of lesions together."""
    if what in ("clinical", "levels", "flow", REQUEST_TENSOR):
        return tensor[..., 0].reshape(-1)
    if what == "groups":
        return torch.cat([tensor, *(tensor[span].sum().reshape(1) for span in build_slices().values())])
    if what == "clinical_by_type":
        counts = tensor[..., 0]
        return torch.cat([counts.reshape(-1), counts.sum(-1)])
    return torch.cat([tensor.reshape(-1), tensor.sum(-1).reshape(-1)]) if tensor.ndim else tensor.reshape(1)
