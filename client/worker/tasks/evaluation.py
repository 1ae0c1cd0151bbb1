"""What a site answers to an evaluation: counts for every net, and beside them who was right where another was not.

What goes beyond a net's own counts (pairs, subgroups, readers) is part of an evaluation stage; a validation round
within training asks for none and gets none. A noised evaluation holds only what `list_tables` names: there nothing is
held back for its size, because that would depend on the data, and a patient counts with two lesions at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.evaluation_release import LESIONS_PER_PATIENT, NOISED_LEVELS
from ceus_models.nets.heads import locate_output
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import add_prefix
from ceus_models.study.sample import Sample
from ceus_models.study.targets import find_target
from ceus_models.study.taxonomy import DISEASE_NETS, STRATEGY_A, STRATEGY_B, select_classifiers
from client.worker.tasks.counts.paired_counts import Verdicts, count_pairs
from client.worker.tasks.counts.population import cap_patients, select_population
from client.worker.tasks.counts.reader_counts import reader_counts
from client.worker.tasks.counts.score_counts import count_confusion, count_scores
from client.worker.tasks.counts.subgroup_counts import count_mix, count_values, subgroup_counts
from client.worker.tasks.inference import Probabilities, TaskNets, by_cohort, nets_of
from client.worker.tasks.place import Place


def evaluate_cohorts(task: Task, samples: Sequence[Sample], place: Place) -> tuple[dict[str, Tensor], set[str]]:
    """The sums of all cohorts, and the keys of the lesions that they are made of.

    `C|<net>|…`: score_counts, and for a net of several types subgroup_counts · `C|pairs|right`: paired_counts ·
    `C|groups`: lesions by value, `C|mix`: and by type · `C|readers|…`: reader_counts (modules of this folder).
    """
    sums: dict[str, Tensor] = {}
    used: set[str] = set()
    nets = nets_of(task, place)
    noised = task.level in NOISED_LEVELS
    counted = {s.key for s in cap_patients(samples, LESIONS_PER_PATIENT)} if noised else {s.key for s in samples}
    for cohort, cases in by_cohort(samples).items():
        shown = select_population([s for s in cases if s.key in counted], 1 if noised else place.cell)
        found, rows = _Cohort(task, nets, cases, shown).sums()
        sums |= add_prefix(found, f"{cohort}|")
        used |= {shown[i].key for i in rows}
    return sums, used


class _Cohort:
    """The lesions of one cohort, `shown` of which are counted, and what was said of them so far."""

    def __init__(self, task: Task, nets: TaskNets, cases: Sequence[Sample], shown: Sequence[Sample]) -> None:
        self._task, self._nets, self._cases, self._shown = task, nets, cases, shown
        places = {sample.key: place for place, sample in enumerate(cases)}
        self._kept = np.array([places[sample.key] for sample in shown], np.int64)
        self._noised = task.level in NOISED_LEVELS
        self._cell = 1 if self._noised else nets.place.cell
        self._asked: dict[str, Probabilities] = {}

    def sums(self) -> tuple[dict[str, Tensor], set[int]]:
        """Names without the cohort, and the rows of the shown lesions that were used."""
        classifiers = select_classifiers(self._task.nets) if self._task.comparisons else ()
        sums: dict[str, Tensor] = {}
        verdicts: dict[str, Verdicts] = {}
        used: set[int] = set()
        for net in dict.fromkeys((*self._task.nets, *classifiers)):
            rows, targets = self._eligible_rows(net)
            if len(rows) < (1 if self._noised else max(1, self._nets.place.minimum)):
                continue
            p = self._probabilities(net)[self._kept[rows]]
            sums |= add_prefix(count_scores(p, targets), f"{net}|")
            used |= set(rows.tolist())
            if self._task.replicates:
                sums[f"{net}|replicates"] = count_confusion(p, targets, self._draws(rows))
            if net in classifiers:
                verdicts[net] = Verdicts(rows, p.argmax(axis=1) == targets)
        return sums | self._compare(classifiers, verdicts), used

    def _compare(self, classifiers: Sequence[str], verdicts: dict[str, Verdicts]) -> dict[str, Tensor]:
        if not verdicts:
            return {}
        sums = {"pairs|right": count_pairs(classifiers, verdicts, self._cell)} if len(classifiers) > 1 else {}
        if self._noised:
            return sums
        for net, own in verdicts.items():
            sums |= add_prefix(subgroup_counts(self._shown, own, self._cell), f"{net}|")
        sums["groups"] = count_values(self._shown, self._cell)
        sums["mix"] = count_mix(self._shown, self._cell)
        readers = reader_counts(self._shown, (classifiers, verdicts), self._cell)
        return sums | add_prefix(readers, "readers|")

    def _eligible_rows(self, net: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of the shown lesions with a right answer, and those answers; none where a class is below the cell."""
        answers = [find_target(STRATEGY_A if net == STRATEGY_B else net, s) for s in self._shown]
        held = Counter(answer for answer in answers if answer is not None)
        small = any(count < self._cell for count in held.values())
        rows = [] if small else [i for i, answer in enumerate(answers) if answer is not None]
        return np.array(rows, dtype=np.int64), np.array([answers[i] for i in rows], dtype=np.int64)

    def _draws(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """(m R) bootstrap weights of lesions, for the paired arms of a simulation."""
        keys = [self._shown[i].key for i in rows]
        return np.stack([poisson_weights(self._task.seed, key, self._task.replicates)[1:] for key in keys])

    def _probabilities(self, net: str) -> Probabilities:
        """Of the whole cohort, so that the frozen sub-models see it once and as one."""
        if net == STRATEGY_B:
            return np.concatenate([self._probabilities(one) for one in DISEASE_NETS], axis=1)
        place = locate_output(net, self._nets.recipe.sharing)
        if place.net not in self._asked:
            self._asked[place.net] = self._nets.probabilities(place.net, self._cases)
        return self._asked[place.net][:, place.columns]
