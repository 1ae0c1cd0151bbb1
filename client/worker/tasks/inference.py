"""What the nets say of a site's lesions. The frozen sub-models are asked once; their answers stay at the site."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import Tensor

from ceus_models.nets.fusion import build_fusion_inputs
from ceus_models.nets.heads import list_nets, list_outputs
from ceus_models.nets.module_cache import LoadedNet, load_net
from ceus_models.nets.predict import compute_probabilities, measure_statistics, predict_scores
from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, digest, select_net
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS, TRUNK
from client.policy.policy import TaskDeclined
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import LocalStates

Probabilities = npt.NDArray[np.float64]
_RECIPE = TypeAdapter(Recipe)


@dataclass(frozen=True, eq=False)
class TaskNets:
    """The nets of one task at one place.

    inputs, frozen: as in `Task` · table_key: of the frozen sub-models' answers · states: the site's own, of BatchNorm ·
    alone: whether each lesion is a batch of its own, so that no other one moves the last bit of what is said of it.
    """

    recipe: Recipe
    inputs: State
    frozen: str
    table_key: str
    states: LocalStates
    place: Place
    alone: bool = False

    def start(self, net: str) -> dict[str, Tensor]:
        """The parameters that the task brings for a net, in float32 if they travelled in fewer bits."""
        sent = select_net(self.inputs, net)
        return {name: t.float() if t.dtype == torch.bfloat16 else t for name, t in sent.items()}

    def load(self, net: str, state: State) -> tuple[LoadedNet, bool]:
        """The net with these parameters and this site's own BatchNorm state; whether that is fresh, as initialised."""
        own = net not in FUSION_NETS and self.recipe.architecture.norm == "batch_local"
        local = self.states.read(net) if own else None
        return load_net(net, self.recipe, state, local, self.place.device), own and local is None

    def probabilities(self, net: str, samples: Sequence[Sample]) -> Probabilities:
        """(n k) of a net for lesions of one cohort, in their order.

        Raises TaskDeclined("needs_frozen") when a fusion net, or a frozen sub-model that the task lacks, is asked about
        lesions that the frozen sub-models have not seen at this site.
        """
        if net in FUSION_NETS:
            features = self.features(net, samples)
            kept, _ = self.load(net, self.start(net))
            with torch.inference_mode():
                return compute_probabilities(kept.module(features))
        heads = list_outputs(net)
        if self.frozen and set(heads) <= set(SUBMODELS):
            columns = [SUBMODELS.index(head) for head in heads]
            return self.frozen_probabilities(samples)[:, columns].astype(np.float64)
        return self._ask(net, samples)

    def features(self, net: str, samples: Sequence[Sample]) -> Tensor:
        """What a fusion net sees of these lesions. Raises TaskDeclined as `probabilities`."""
        return build_fusion_inputs(net, self.frozen_probabilities(samples), samples, self.recipe).to(self.place.device)

    def frozen_probabilities(self, samples: Sequence[Sample]) -> npt.NDArray[np.float32]:
        """(n 9) of the frozen sub-models, in the order of SUBMODELS; computed once per lesion and set of weights.

        A cohort is always computed whole and in order of keys: the last bit of a probability may depend on the company
        in its batch, and a resumed study must repeat itself. Raises TaskDeclined as `probabilities`.
        """
        table = self.place.memory.table(self.table_key)
        marks = {sample.key: content_key(sample) for sample in samples}
        if any(mark not in table for mark in marks.values()):
            self._check_submodels()
            fresh: dict[str, npt.NDArray[np.float32]] = {}
            for cases in by_cohort(samples).values():
                rows = np.concatenate([self._ask(net, cases) for net in self._below], axis=1).astype(np.float32)
                fresh.update(zip((marks[s.key] for s in cases), rows, strict=True))
            table = {**table, **{mark: torch.from_numpy(row.copy()) for mark, row in fresh.items()}}
            self.place.memory.keep_table(self.table_key, table)
        return np.stack([table[marks[sample.key]].numpy() for sample in samples])

    @property
    def _below(self) -> tuple[str, ...]:
        """The nets that fusion nets stand on; their outputs together are SUBMODELS, in order."""
        return list_nets(SUBMODELS, self.recipe.sharing)

    def _ask(self, net: str, samples: Sequence[Sample]) -> Probabilities:
        """A two-stream net; where the site never trained it, with statistics of one pass over these lesions."""
        kept, fresh = self.load(net, self.start(net))
        stack = self.place.compute.stack
        if fresh:
            measure_statistics(kept.module, samples, self.recipe, stack)
        if self.alone:
            return np.concatenate([predict_scores(kept.module, [sample], self.recipe, stack) for sample in samples])
        return predict_scores(kept.module, samples, self.recipe, stack)

    def _check_submodels(self) -> None:
        """Raises TaskDeclined where the task's inputs do not hold the sub-models that it names by digest."""
        models = submodels_in(self.inputs)
        held = {name.split("|", 1)[0] for name in models}
        if digest(models) == self.frozen:
            lacking = [net for net in self._below if net not in held]
            if lacking:
                sent = f"send all of {', '.join(self._below)}"
                raise TaskDeclined("error", f"the frozen sub-models lack {lacking[0]}; {sent}")
            return
        # some sub-models among the inputs may be there to be evaluated, as any other net
        if held != set(self._below):
            raise TaskDeclined(
                "needs_frozen", "this site has not seen the frozen sub-models yet; send them with the task"
            )
        raise TaskDeclined("error", "the sub-models that were sent are not those that the task names by digest")


def nets_of(task: Task, place: Place) -> TaskNets:
    """The nets of a task. Raises TaskDeclined when it brings no recipe."""
    if task.recipe is None:
        raise TaskDeclined("error", f"a {task.kind} task needs a recipe, and this one brings none")
    states = place.memory.local_states(task)
    alone = task.rule is not None and task.rule.private is not None
    return TaskNets(task.recipe, task.inputs, task.frozen, _table_key(task, task.recipe, alone), states, place, alone)


def by_cohort(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Lesions of each cohort in the order of their keys, so that no answer depends on how they were listed."""
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda s: (s.cohort, s.key)):
        groups.setdefault(sample.cohort, []).append(sample)
    return groups


def submodels_in(inputs: State) -> State:
    """The sub-models' tensors among a task's inputs, under their full names; `digest` of them is `Task.frozen`."""
    return {name: tensor for name, tensor in inputs.items() if name.split("|", 1)[0] in (*SUBMODELS, TRUNK)}


def _table_key(task: Task, recipe: Recipe, alone: bool) -> str:
    """All that the sub-models' answers depend on, but the lesion."""
    settings: Mapping[str, object] = _RECIPE.dump_python(recipe, mode="json")
    parts = [task.frozen, str(settings["architecture"]), str(settings["normaliser"]), *(["alone"] if alone else [])]
    if recipe.architecture.norm == "batch_local":
        parts += [task.study, str(task.seed)]  # the site's own state belongs to one study
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def content_key(sample: Sample) -> str:
    """A lesion and its content: a corrected outline makes another row."""
    return f"{sample.key}-{sample.content_digest[:16]}"
