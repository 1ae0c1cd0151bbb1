"""Lesions with groups and readings, dealt to sites; each answers with the client's own sums, and their total."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from toy_lesions import lesion

from ceus_models.protocol.state import add_prefix
from ceus_models.protocol.sums import ExactSum
from ceus_models.study.reader_study import READERS
from ceus_models.study.sample import Reading, Sample
from ceus_models.study.subgroups import SUBGROUPS
from ceus_models.study.taxonomy import FUSION_NETS, LESION_TYPES
from client.worker.tasks.counts.paired_counts import Verdicts, count_pairs
from client.worker.tasks.counts.reader_counts import reader_counts
from client.worker.tasks.counts.subgroup_counts import count_mix, count_values, subgroup_counts
from tests.support.fake_sites import counted

COHORT = "external_test_c"


def cases(count: int, seed: int = 0) -> list[Sample]:
    """Lesions of six types; readers miss a quarter, and some read a part only."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        label = int(rng.choice(6, p=(0.4, 0.2, 0.1, 0.1, 0.1, 0.1)))
        groups = {variable: values[int(rng.integers(len(values)))] for variable, values in SUBGROUPS.items()}
        said = [label if rng.random() < 0.75 else int(rng.integers(6)) for _ in range(2 * len(READERS))]
        readings = [
            Reading(
                code,
                role,
                bool(assisted),
                LESION_TYPES[said.pop()],
                1 + i % 5,
                (20.0 + i) * (1.0 - assisted * 0.1 * (i % 4)),
            )
            for code, role in READERS.items()
            for assisted in range(1 if role == "mri" else 2)
            if rng.random() < 0.9
        ]
        readings.append(Reading("Dr. Li", "senior", False, LESION_TYPES[int(rng.integers(6))]))
        made.append(replace(lesion(i, COHORT, LESION_TYPES[label]), groups=groups, readings=tuple(readings)))
    return made


def answers(samples: list[Sample], seed: int = 1) -> dict[str, np.ndarray]:
    """(n 6) probabilities of every fusion net, fair but not perfect."""
    found = {}
    for place, net in enumerate(FUSION_NETS):
        rng = np.random.default_rng(seed + place)
        logits = rng.normal(size=(len(samples), 6)) + np.array(
            [[(1.2 + 0.2 * place) * (s.label == t) for t in LESION_TYPES] for s in samples]
        )
        found[net] = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return found


def targets_of(samples: list[Sample]) -> np.ndarray:
    return np.array([LESION_TYPES.index(s.label) for s in samples])


def total_of(samples: list[Sample], sites: int = 5, cell: int = 1) -> dict:
    """The sum over sites of what each answers about its share of the lesions."""
    total, said = ExactSum(), answers(samples)
    for number in range(sites):
        rows = range(number, len(samples), sites)
        total.add(answer_of([samples[i] for i in rows], {n: p[rows] for n, p in said.items()}, cell))
    return total.take_float64()


def answer_of(own: list[Sample], said: dict[str, np.ndarray], cell: int) -> dict:
    targets, rows = targets_of(own), np.arange(len(own))
    verdicts = {net: Verdicts(rows, p.argmax(1) == targets) for net, p in said.items()}
    sums = {"pairs|right": count_pairs(FUSION_NETS, verdicts, cell), "groups": count_values(own, cell)}
    sums["mix"] = count_mix(own, cell)
    for net, p in said.items():
        sums |= add_prefix(counted(targets, p), f"{net}|")
        sums |= add_prefix(subgroup_counts(own, verdicts[net], cell), f"{net}|")
    sums |= add_prefix(reader_counts(own, (FUSION_NETS, verdicts), cell), "readers|")
    return add_prefix(sums, f"{COHORT}|")
