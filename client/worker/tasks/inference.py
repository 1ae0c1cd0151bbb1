"""What the nets say of a site's lesions. The frozen sub-models are asked once; their answers stay at the site."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter

from ceus_models.nets.fusion import fusion_inputs
from ceus_models.nets.module_cache import Loaded, load_module
from ceus_models.nets.predict import measure_statistics, probabilities, scores
from ceus_models.protocol.messages import Recipe, Task
from ceus_models.protocol.state import State, digest, net_state
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import FUSION_NETS, SUBMODELS
from client.policy.policy import Declined
from client.worker.tasks.site_memory import Place

Probabilities = npt.NDArray[np.float64]
_RECIPE = TypeAdapter(Recipe)


def recipe_of(task: Task) -> Recipe:
    """The task's recipe. Raises Declined when it brings none."""
    if task.recipe is None:
        raise Declined("error", f"a {task.kind} task needs a recipe, and this one brings none")
    return task.recipe


def by_cohort(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Lesions of each cohort in the order of their keys, so that no answer depends on how they were listed."""
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda s: (s.cohort, s.key)):
        groups.setdefault(sample.cohort, []).append(sample)
    return groups


def probabilities_of(net: str, task: Task, samples: Sequence[Sample], place: Place) -> Probabilities:
    """(n k) of a net for lesions of one cohort, in their order.

    Raises Declined("needs_frozen") when a fusion net, or a frozen sub-model that the task does not bring, is asked
    about lesions that the frozen sub-models have not seen at this site.
    """
    recipe = recipe_of(task)
    if net in FUSION_NETS:
        table = frozen_probabilities(task, samples, place)
        kept = load_module(net, recipe, net_state(task.inputs, net), None, place.device)
        with torch.inference_mode():
            return probabilities(kept.module(fusion_inputs(net, table, samples, recipe).to(place.device)))
    if net in SUBMODELS and task.frozen:
        column = SUBMODELS.index(net)
        return frozen_probabilities(task, samples, place)[:, column : column + 1].astype(np.float64)
    kept = with_local_state(net, task, samples, place)
    return scores(kept.module, samples, recipe)


def frozen_probabilities(task: Task, samples: Sequence[Sample], place: Place) -> npt.NDArray[np.float32]:
    """(n 9) of the frozen sub-models, in the order of SUBMODELS; computed once per lesion and set of weights.

    A cohort is always computed whole and in order of keys: the last bit of a probability may depend on the company
    in its batch, and a resumed study must repeat itself. Raises Declined as `probabilities_of`.
    """
    key = _table_key(task)
    table = place.memory.table(key)
    marks = {sample.key: _mark(sample) for sample in samples}
    if any(mark not in table for mark in marks.values()):
        models = _sent_submodels(task)
        fresh: dict[str, npt.NDArray[np.float32]] = {}
        for cases in by_cohort(samples).values():
            columns = [_ask(net, models, task, cases, place) for net in SUBMODELS]
            rows = np.concatenate(columns, axis=1).astype(np.float32)
            fresh.update(zip((marks[s.key] for s in cases), rows, strict=True))
        table = {**table, **{mark: torch.from_numpy(row.copy()) for mark, row in fresh.items()}}
        place.memory.keep_table(key, table)
    return np.stack([table[marks[sample.key]].numpy() for sample in samples])


def with_local_state(net: str, task: Task, samples: Sequence[Sample], place: Place) -> Loaded:
    """The net of the task's inputs with this site's own BatchNorm state.

    A site that never trained the net has none: it takes BatchNorm as initialised (scale 1, shift 0) with statistics
    of one pass over the given lesions.
    """
    recipe = recipe_of(task)
    kept = load_module(net, recipe, net_state(task.inputs, net), None, place.device)
    if not kept.local:
        return kept
    local = place.memory.local_state(task, net)
    if local is None:
        measure_statistics(kept.module, samples, recipe)
        return kept
    return load_module(net, recipe, net_state(task.inputs, net), local, place.device)


def sent_submodels(inputs: State) -> State:
    """The sub-models' tensors among a task's inputs, under their full names; `digest` of them is `Task.frozen`."""
    return {name: tensor for name, tensor in inputs.items() if name.split("|", 1)[0] in SUBMODELS}


def _ask(net: str, models: State, task: Task, cases: Sequence[Sample], place: Place) -> Probabilities:
    if not any(name.startswith(f"{net}|") for name in models):
        raise Declined("error", f"the frozen sub-models lack {net}; send all of {', '.join(SUBMODELS)}")
    return scores(with_local_state(net, task, cases, place).module, cases, recipe_of(task))


def _sent_submodels(task: Task) -> State:
    models = sent_submodels(task.inputs)
    if digest(models) == task.frozen:
        return models
    # some sub-models among the inputs may be there to be evaluated, as any other net
    if {name.split("|", 1)[0] for name in models} != set(SUBMODELS):
        raise Declined("needs_frozen", "this site has not seen the frozen sub-models yet; send them with the task")
    raise Declined("error", "the sub-models that were sent are not those that the task names by digest")


def _table_key(task: Task) -> str:
    """All that the sub-models' answers depend on, but the lesion."""
    recipe: Mapping[str, object] = _RECIPE.dump_python(recipe_of(task), mode="json")
    parts = [task.frozen, str(recipe["architecture"]), str(recipe["normaliser"])]
    if recipe_of(task).architecture.norm == "batch_local":
        parts += [task.study, str(task.seed)]  # the site's own state belongs to one study
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _mark(sample: Sample) -> str:
    """A lesion and its content: a corrected outline makes another row."""
    return f"{sample.key}-{sample.content[:16]}"
