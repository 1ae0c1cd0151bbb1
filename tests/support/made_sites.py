"""Hospitals without videos, for what is about processes and messages: folders whose index holds made-up samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ceus_models.plan.plan import Plan
from ceus_models.protocol.messages import Task
from ceus_models.protocol.state import digest
from ceus_models.runtime.seeds import derive_seed
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import CLINICAL, LESION_TYPES
from client.data.dataset.cache import cache_folder, write_sample
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.forms.site_config import load_site
from client.worker.site.open_site import open_site
from client.worker.site.site import Site
from server.rounds.coordinator import run
from server.rounds.round import Answer
from server.rounds.saving.checkpoints import Store
from tests.support.clients import lesion
from tests.support.open_policy import open_text

_WITHOUT_OT = ("training_a", "validation")


def made_site(folder: Path, center: int, held: Mapping[str, int], processing: Processing) -> Path:
    """A hospital's folder, indexed. held: lesions by cohort."""
    folder.mkdir(parents=True)
    (folder / "site.yaml").write_text(f"schema: 1\ncenter: {center}\nname: Hospital {center}\n")
    (folder / "policy.yaml").write_text(open_text())
    (folder / "lesions.csv").write_text("made up\n")
    config = load_site(folder)
    files: list[str] = []
    for cohort, count in held.items():
        kinds = len(LESION_TYPES) - (cohort in _WITHOUT_OT)
        for number in range(count):
            sample = lesion(f"{folder.name}-{cohort}", number, processing)
            files.append(f"{sample.key * 4}.safetensors")
            label = number % kinds
            clinical = np.random.default_rng(derive_seed(sample.key, "clinical")).normal(size=len(CLINICAL)) + label
            told = {"cohort": cohort, "label": LESION_TYPES[label], "clinical": clinical.astype(np.float32)}
            write_sample(replace(sample, **told), cache_folder(config) / files[-1])
    write_index(config, processing, compute_file_digest(config.table), list(enumerate(files, 2)), {})
    return folder


def held_by(center: int, lesions: int) -> dict[str, int]:
    """Cohorts of a center as in the study, with about so many lesions in each."""
    single = {50: "internal_test", 51: "external_test_a", 52: "external_test_b"}
    if center in single:
        return {single[center]: lesions}
    own = {"training_b": lesions} if center >= 37 else {"training_a": lesions, "validation": lesions}
    return {**own, "external_test_c": lesions}


@dataclass(frozen=True)
class _Here:
    """A link to sites of this process."""

    held: Mapping[str, Site]

    def sites(self) -> Sequence[str]:
        return sorted(self.held)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        for name in sites:
            yield name, self.held[name].handle(task)


def digests_in_memory(plan: Plan, sites: Mapping[str, Path], seed: int, scratch: Path) -> dict[str, str]:
    """The nets at the end of the plan, without any process or message."""
    opened = {name: open_site(folder, plan.processing) for name, folder in sites.items()}
    end = run(plan, _Here({n: replace(s, memory=scratch / n) for n, s in opened.items()}), Store(scratch), seed)
    return {net: digest(state) for net, state in end.nets.items()}


def digests_of_run(plan: Plan, folder: Path, seed: int) -> dict[str, str]:
    """The nets of the last checkpoint."""
    end = Store(folder).latest(plan.digest(), seed)
    return {} if end is None else {net: digest(state) for net, state in end.nets.items()}
