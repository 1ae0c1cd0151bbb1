"""What a site answers to an evaluation: counts for every net, and beside them who was right where another was not.

A class with fewer lesions than the site's minimum cell is left out: its histogram would be nearly those lesions. What
goes beyond a net's own counts (comparisons, subgroups, readers) is part of an evaluation with bootstrap replicates; a
validation round within training asks for none and gets none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.nets.factory import CPU
from ceus_models.nets.losses import build_class_weights
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import add_prefix
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import DISEASE_NETS, STRATEGY_A, STRATEGY_B, count_outputs, select_classifiers
from client.worker.tasks.inference import Probabilities, TaskNets, by_cohort, nets_of
from client.worker.tasks.paired_counts import Verdicts, count_pairs
from client.worker.tasks.place import Place
from client.worker.tasks.reader_counts import reader_counts
from client.worker.tasks.score_counts import count_scores
from client.worker.tasks.subgroup_counts import subgroup_counts


def evaluate_cohorts(task: Task, samples: Sequence[Sample], place: Place) -> tuple[dict[str, Tensor], set[str]]:
    """The sums of all cohorts, and the keys of the lesions that they are made of.

    `C|<net>|…`: score_counts, and for a net of several types subgroup_counts · `C|pairs|right`: paired_counts ·
    `C|readers|…`: reader_counts (modules of this folder).
    """
    sums: dict[str, Tensor] = {}
    used: set[str] = set()
    nets = nets_of(task, place)
    for cohort, cases in by_cohort(samples).items():
        draws = np.stack([poisson_weights(task.seed, s.key, task.replicates) for s in cases])  # (n 1+R)
        found, rows = _Cohort(nets, cases, draws).sums(task.nets)
        sums |= add_prefix(found, f"{cohort}|")
        used |= {cases[i].key for i in rows}
    return sums, used


class _Cohort:
    """The lesions of one cohort, and what was said of them so far. draws (n 1+R): how often each one counts."""

    def __init__(self, nets: TaskNets, cases: Sequence[Sample], draws: npt.NDArray[np.int32]) -> None:
        self._nets, self._cases, self._draws, self._place = nets, cases, draws, nets.place
        self._asked: dict[str, Probabilities] = {}

    def sums(self, nets: Sequence[str]) -> tuple[dict[str, Tensor], set[int]]:
        """Names without the cohort, and the rows that were used."""
        closely = self._draws.shape[1] > 1
        classifiers = select_classifiers(nets) if closely else ()
        sums: dict[str, Tensor] = {}
        verdicts: dict[str, Verdicts] = {}
        used: set[int] = set()
        for net in dict.fromkeys((*nets, *classifiers)):
            rows, targets = self._eligible_rows(net)
            if len(rows) < max(1, self._place.minimum):
                continue
            p = self._probabilities(net)[rows]
            sums |= add_prefix(count_scores(p, targets, self._draws[rows], self._weights(net)), f"{net}|")
            used |= set(rows.tolist())
            if net in classifiers:
                verdicts[net] = Verdicts(rows, p.argmax(axis=1) == targets)
                groups = subgroup_counts(self._cases, verdicts[net], self._draws, self._place.cell)
                sums |= add_prefix(groups, f"{net}|")
        if verdicts:
            sums["pairs|right"] = count_pairs(classifiers, verdicts)
            readers = reader_counts(self._cases, (classifiers, verdicts), self._draws, self._place.cell)
            sums |= add_prefix(readers, "readers|")
        return sums, used

    def _eligible_rows(self, net: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows with a right answer, of classes that are not below the minimum cell, and those answers."""
        answers = [find_target(STRATEGY_A if net == STRATEGY_B else net, s) for s in self._cases]
        held = Counter(answers)
        rows = [i for i, a in enumerate(answers) if a is not None and held[a] >= self._place.cell]
        return np.array(rows, dtype=np.int64), np.array([answers[i] for i in rows], dtype=np.int64)

    def _probabilities(self, net: str) -> Probabilities:
        """Of the whole cohort, so that the frozen sub-models see it once and as one."""
        if net == STRATEGY_B:
            return np.concatenate([self._probabilities(one) for one in DISEASE_NETS], axis=1)
        if net not in self._asked:
            self._asked[net] = self._nets.probabilities(net, self._cases)
        return self._asked[net]

    def _weights(self, net: str) -> npt.NDArray[np.float64]:
        weighed = STRATEGY_A if net == STRATEGY_B else net
        weights = build_class_weights(weighed, max(2, count_outputs(net)), self._nets.recipe, CPU)
        return np.asarray(weights.double().numpy())
