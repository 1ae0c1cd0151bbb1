"""Sites that answer at once from made-up lesions, for tests of the coordinator. No net is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ceus_models.metrics.bootstrap import poisson_weights
from ceus_models.metrics.ood import FIGURES, REQUEST_TENSOR
from ceus_models.metrics.score_bins import EDGES
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.protocol.state import add_prefix, select_net
from ceus_models.protocol.task_id import compute_task_id
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.reader_study import READERS
from ceus_models.study.sample import Reading, Sample
from ceus_models.study.subgroups import CELLS, SUBGROUPS, list_cells
from ceus_models.study.taxonomy import BIOMARKERS, CLINICAL, LESION_TYPES, SUBMODELS, count_outputs, select_classifiers
from client.worker.tasks.counts.paired_counts import Verdicts, count_pairs
from client.worker.tasks.counts.reader_counts import reader_counts
from client.worker.tasks.counts.subgroup_counts import count_mix, count_values, subgroup_counts
from server.rounds.round import Answer


@dataclass(frozen=True)
class Lesion:
    key: str
    cohort: str
    label: int
    """Index in LESION_TYPES."""
    biomarkers: tuple[float, ...]
    clinical: tuple[float, ...]


def lesions_of(site: str, held: Mapping[str, int], seed: int = 0) -> list[Lesion]:
    """Made-up lesions; clinical variable 0 (age) tells HCC, the others tell nothing."""
    made = []
    for cohort, count in held.items():
        for index in range(count):
            key = f"{site}-{cohort}-{index}"
            rng = np.random.default_rng(derive_seed(seed, "lesion", key))
            label = int(rng.integers(5 if cohort in ("training_a", "validation") else 6))
            clinical = rng.normal(size=len(CLINICAL))
            clinical[0] += 3.0 * (label == 0)
            clinical[rng.random(len(CLINICAL)) < 0.2] = np.nan
            markers = np.where(rng.random(4) < 0.4, np.nan, rng.integers(0, 2, 4))
            made.append(Lesion(key, cohort, label, tuple(markers), tuple(clinical)))
    return made


@dataclass
class FakeSite:
    name: str
    lesions: Sequence[Lesion]
    known: set[str] = field(default_factory=set)
    """Digests of sub-models that it has been sent."""

    def answer(self, task: Task) -> Update | Refusal:
        if task.frozen and task.frozen not in self.known:
            if not all(select_net(task.inputs, net) for net in SUBMODELS):
                return Refusal(self.name, "the frozen sub-models are not here", "needs_frozen")
            self.known.add(task.frozen)
        sums: dict[str, torch.Tensor] = {}
        for cohort in task.cohorts:
            here = [lesion for lesion in self.lesions if lesion.cohort == cohort]
            if here and task.kind == "hello":
                count = torch.tensor(len(here))
                sums |= {f"{cohort}|lesions": count, f"{cohort}|patients": count.clone()}
            if here and task.kind == "tally":
                tally = tally_of(here) | (figures_of(here) if REQUEST_TENSOR in task.inputs else {})
                sums |= {f"{cohort}|{name}": value for name, value in tally.items()}
            if here and task.kind == "evaluate":
                nets = dict.fromkeys((*task.nets, *(select_classifiers(task.nets) if task.comparisons else ())))
                sums |= {name: t for net in nets for name, t in evaluation_of(here, cohort, net, task).items()}
                sums |= comparisons_of(here, cohort, task) if task.comparisons and select_classifiers(task.nets) else {}
        if task.kind == "train":
            sums = {name: t for net in task.nets for name, t in self.trained(net, task).items()}
        asked = [lesion for lesion in self.lesions if lesion.cohort in task.cohorts]
        if task.kind != "hello" and not asked:
            return Refusal(self.name, "no lesions", "no_lesions")
        return Update(self.name, sums, float(len(asked)), task=compute_task_id(task))

    def trained(self, net: str, task: Task) -> dict[str, torch.Tensor]:
        """A step of a hundredth of every weight's size, in a direction of the site's own."""
        weight = sum(lesion.cohort in task.cohorts and target_of(lesion, net) is not None for lesion in self.lesions)
        if not weight:
            return {}
        seed = derive_seed(task.seed, task.stage, task.round, self.name, net)
        rng = torch.Generator().manual_seed(seed)
        sums = {
            f"{net}|{name}": weight * 0.01 * t.abs().mean() * torch.randn(t.shape, generator=rng)
            for name, t in select_net(task.inputs, net).items()
        }
        counts = {"#weight": float(weight), "#loss": weight / task.round}
        return sums | {f"{net}|{name}": torch.tensor(x, dtype=torch.float64) for name, x in counts.items()}


def target_of(lesion: Lesion, net: str) -> int | None:
    group, _, name = net.partition("/")
    if group == "biomarker":
        value = lesion.biomarkers[BIOMARKERS.index(name)]
        return None if np.isnan(value) else int(value)
    if group == "disease":
        if lesion.label == 5:
            return None
        return lesion.label if name in ("all", "five") else int(LESION_TYPES[lesion.label] == name)
    return lesion.label


def tally_of(lesions: Sequence[Lesion]) -> dict[str, torch.Tensor]:
    types = np.bincount([lesion.label for lesion in lesions], minlength=6)
    markers = np.array([lesion.biomarkers for lesion in lesions])
    x = np.array([lesion.clinical for lesion in lesions])
    is_type = np.array([[lesion.label == t for t in range(6)] for lesion in lesions])
    there = ~np.isnan(x)
    filled = np.where(there, x, 0.0)
    n = float(len(lesions))
    return {
        "types": torch.from_numpy(types),
        "patients": torch.tensor(len(lesions)),
        "biomarkers": torch.from_numpy(np.stack([(markers == 0).sum(0), (markers == 1).sum(0)], 1)),
        "any_biomarker": torch.tensor(int((~np.isnan(markers)).any(1).sum())),
        "clinical": torch.from_numpy(np.stack([there.sum(0), filled.sum(0), (filled**2).sum(0)], 1)),
        "clinical_by_type": torch.from_numpy(
            np.stack([there.T.astype(float) @ is_type, filled.T @ is_type], 2).astype(np.float64)
        ),
        "levels": torch.tensor([n, 0.25 * n, 0.1 * n], dtype=torch.float64),
        "flow": torch.tensor([n, 0.0, 4.0 * n], dtype=torch.float64),
        "groups": torch.from_numpy(groups_of(lesions)),
    }


def figures_of(lesions: Sequence[Lesion]) -> dict[str, torch.Tensor]:
    n = float(len(lesions))
    return {REQUEST_TENSOR: torch.tensor([[n, 0.5 * n, 0.3 * n]] * len(FIGURES), dtype=torch.float64)}


def as_sample(lesion: Lesion) -> Sample:
    """What the site's own counting of subgroups and readers looks at."""
    rng = np.random.default_rng(derive_seed("groups", lesion.key))
    groups = {variable: values[int(rng.integers(len(values)))] for variable, values in SUBGROUPS.items()}
    readings = tuple(
        Reading(code, role, assisted, LESION_TYPES[lesion.label if rng.random() < 0.7 else int(rng.integers(6))])
        for code, role in READERS.items()
        for assisted in ((False,) if role == "mri" else (False, True))
        if lesion.cohort == "external_test_c"
    )
    nothing = np.zeros((1, 1, 1))
    return Sample(
        key=lesion.key,
        patient=lesion.key,
        cohort=lesion.cohort,
        frames=nothing.astype(np.uint8),
        flow=nothing[None].astype(np.int8),
        flow_scale=1.0,
        curve=np.ones(1, np.float32),
        clinical=np.where(np.arange(len(CLINICAL)) == 3, rng.integers(2), lesion.clinical).astype(np.float32),
        biomarkers=np.array(lesion.biomarkers, np.float32),
        label=LESION_TYPES[lesion.label],
        groups=groups,
        readings=readings,
    )


def groups_of(lesions: Sequence[Lesion]) -> np.ndarray:
    """(cells) lesions of each."""
    counts = np.zeros(len(CELLS), np.int64)
    for lesion in lesions:
        counts[list(list_cells(as_sample(lesion)))] += 1
    return counts


def comparisons_of(lesions: Sequence[Lesion], cohort: str, task: Task) -> dict[str, torch.Tensor]:
    """By the site's own functions; their truth is tested where they are."""
    samples = [as_sample(lesion) for lesion in lesions]
    classifiers = select_classifiers(task.nets)
    found, sums = {}, {}
    for net in classifiers:
        rows = np.array([i for i, lesion in enumerate(lesions) if target_of(lesion, net) is not None], np.int64)
        if len(rows):
            right = [probability_of(lesions[i], net, task.round).argmax() == target_of(lesions[i], net) for i in rows]
            found[net] = Verdicts(rows, np.array(right))
            sums |= add_prefix(subgroup_counts(samples, found[net], 1), f"{cohort}|{net}|")
    if len(classifiers) > 1:
        sums[f"{cohort}|pairs|right"] = count_pairs(classifiers, found, 1)
    sums[f"{cohort}|groups"] = count_values(samples, 1)
    sums[f"{cohort}|mix"] = count_mix(samples, 1)
    return sums | add_prefix(reader_counts(samples, (classifiers, found), 1), f"{cohort}|readers|")


def evaluation_of(lesions: Sequence[Lesion], cohort: str, net: str, task: Task) -> dict[str, torch.Tensor]:
    """Scores drawn around the truth, so that the counts are those of a fair net."""
    labelled = [lesion for lesion in lesions if target_of(lesion, net) is not None]
    if not labelled:
        return {}
    targets = np.array([target_of(lesion, net) for lesion in labelled], dtype=np.int64)
    probabilities = np.stack([probability_of(lesion, net, task.round) for lesion in labelled])
    sums = counted(targets, probabilities)
    if task.replicates:
        draws = [poisson_weights(task.seed, lesion.key, task.replicates)[1:] for lesion in labelled]
        weighed = np.zeros((task.replicates, *sums["confusion"].shape), np.int64)
        for target, p, weights in zip(targets, probabilities, draws, strict=True):
            weighed[:, target, p.argmax() if len(p) > 1 else int(p[0] >= 0.5)] += weights
        sums["replicates"] = torch.from_numpy(weighed)
    return {f"{cohort}|{net}|{name}": t for name, t in sums.items()}


def probability_of(lesion: Lesion, net: str, number: int = 0) -> np.ndarray:
    """(k) probabilities."""
    k = count_outputs(net)
    target = target_of(lesion, net) or 0
    rng = np.random.default_rng(derive_seed("score", lesion.key, net, number))
    logits = rng.normal(size=k) * 1.2
    logits[target if k > 1 else 0] += 1.5 if k > 1 or target else -1.5
    return np.exp(logits) / np.exp(logits).sum() if k > 1 else 1 / (1 + np.exp(-logits))


def counted(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, torch.Tensor]:
    """The sums of an evaluation. targets (n) · probabilities (n k)."""
    n, k = probabilities.shape
    sides = max(k, 2)
    predicted = probabilities.argmax(1) if k > 1 else (probabilities[:, 0] >= 0.5).astype(int)
    confusion = np.zeros((sides, sides), np.int64)
    scores = np.zeros((k, 2, len(EDGES) - 1), np.int64)
    for i in range(n):
        confusion[targets[i], predicted[i]] += 1
        for c in range(k):
            place = max(0, sum(EDGES[1:-1] < probabilities[i, c]))
            scores[c, int(targets[i] == (c if k > 1 else 1)), place] += 1
    return {"confusion": torch.from_numpy(confusion), "scores": torch.from_numpy(scores)}


@dataclass
class FakeLink:
    """A link to fake sites. `spoil` may replace a site's answer; `backwards` reverses the order of arrival."""

    members: Sequence[FakeSite]
    spoil: Mapping[str, object] = field(default_factory=dict)
    backwards: bool = False
    asked: list[tuple[Task, tuple[str, ...]]] = field(default_factory=list)

    def sites(self) -> list[str]:
        return [site.name for site in self.members]

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        self.asked.append((task, tuple(sites)))
        chosen = [site for site in self.members if site.name in sites]
        for site in reversed(chosen) if self.backwards else chosen:
            spoiler = self.spoil.get(site.name)
            answer = site.answer(task)
            yield site.name, spoiler(task, answer) if callable(spoiler) else answer


def federation(**link: object) -> FakeLink:
    """Two training centers, two for fusion, one that only tests; all take part in external test C."""
    held = {
        "site-01": {"training_a": 30, "validation": 12, "external_test_c": 5},
        "site-02": {"training_a": 20, "validation": 8},
        "site-37": {"training_b": 15, "external_test_c": 4},
        "site-38": {"training_b": 12},
        "site-50": {"internal_test": 20, "external_test_c": 6},
    }
    return FakeLink([FakeSite(name, lesions_of(name, cohorts)) for name, cohorts in held.items()], **link)  # type: ignore[arg-type]
