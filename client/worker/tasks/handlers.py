"""What a site does for each kind of task: a function from lesions to sums. A new kind is a function and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ceus_models.metrics.ood import REQUEST_TENSOR
from ceus_models.protocol.messages import Kind, Task
from ceus_models.protocol.state import add_prefix
from ceus_models.study.sample import Sample
from client.worker.tasks.evaluation import evaluate_cohorts
from client.worker.tasks.inference import by_cohort
from client.worker.tasks.place import Place
from client.worker.tasks.private_training import sum_patients
from client.worker.tasks.tally import patients_of, tally_of
from client.worker.tasks.training import trainer_of

Sums = tuple[dict[str, Tensor], float]
"""Named sums, and the number of lesions that they are made of."""


def hello(task: Task, samples: Sequence[Sample], place: Place) -> Sums:
    """`C|lesions` and `C|patients` of each cohort."""
    sums: dict[str, Tensor] = {}
    for cohort, cases in by_cohort(samples).items():
        sums[f"{cohort}|lesions"] = torch.tensor(len(cases))
        sums[f"{cohort}|patients"] = patients_of(cases)
    return sums, float(len(samples))


def tally(task: Task, samples: Sequence[Sample], place: Place) -> Sums:
    """The statistics of `client.worker.tasks.tally`, under `C|`."""
    sums: dict[str, Tensor] = {}
    for cohort, cases in by_cohort(samples).items():
        sums |= add_prefix(tally_of(cases, place.cell, REQUEST_TENSOR in task.inputs), f"{cohort}|")
    return sums, float(len(samples))


def train(task: Task, samples: Sequence[Sample], place: Place) -> Sums:
    """Each net's change under `<net>|`; a net for which the site has too few labels is left out.

    Under a private rule, the sum of patients' gradients, which has no noise yet; what it is made of stays unsaid.
    """
    if task.rule and task.rule.private:
        return sum_patients(task, samples, place), 0.0
    sums: dict[str, Tensor] = {}
    used: set[str] = set()
    trainer = trainer_of(task, place)
    for net in task.nets:
        trained = trainer.train(net, samples)
        if trained is not None:
            sums |= add_prefix(trained.sums, f"{net}|")
            used |= set(trained.lesions)
    return sums, float(len(used))


def evaluate(task: Task, samples: Sequence[Sample], place: Place) -> Sums:
    """The counts of `client.worker.tasks.evaluation`, of the lesions that have a right answer for a net."""
    sums, used = evaluate_cohorts(task, samples, place)
    return sums, float(len(used))


WORK: Mapping[Kind, Callable[[Task, Sequence[Sample], Place], Sums]] = {
    "hello": hello,
    "tally": tally,
    "train": train,
    "evaluate": evaluate,
}
