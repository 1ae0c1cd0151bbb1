"""Whether a hospital's data can be answered from: contract, policy, index, and one lesion from file to trained net."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ceus_models.nets.module_cache import initial_state
from ceus_models.protocol.messages import Architecture, LocalRule, Normaliser, Recipe, Task
from ceus_models.protocol.state import prefixed
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKER_NETS, CLINICAL, CLINICAL_NAMES, DISEASE_NETS
from client.data.analysis.pipeline import sample_of
from client.data.dataset.check import check_site
from client.data.dataset.index_file import read_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import SiteConfig, load_site
from client.data.table.manifest import read_manifest
from client.policy.policy_file import load_policy
from client.service.findings import Finding, Look, fault, note, ok
from client.worker.audit.verify import verify
from client.worker.tasks.device import device_of
from client.worker.tasks.handlers import WORK
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory

_RECIPE = Recipe(
    Architecture(), Normaliser(0.4, 0.2, 1.5, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)), CLINICAL_NAMES[:2], {}
)


@dataclass
class Data:
    """folder: the site's · workers: lesions looked at at once."""

    folder: Path
    workers: int
    _samples: Sequence[Sample] = field(default=(), init=False)

    def looks(self) -> list[tuple[str, Look]]:
        """All of them, the later ones on what the earlier ones found."""
        return [
            ("policy", self.policy),
            ("data contract", self.contract),
            ("index", self.index),
            ("audit", self.audit),
            ("dry run", self.read_one),
            ("throughput", self.train_one),
        ]

    def policy(self) -> Finding:
        """Its faults, or what it allows. Raises ExpectedError."""
        policy = load_policy(self.folder)
        return ok(
            "policy", f"answers {', '.join(policy.kinds)}; {'any study' if policy.studies is None else 'named studies'}"
        )

    def contract(self) -> Finding:
        """What `ceus-site check` says."""
        report = check_site(self.folder, None, self.workers)
        if not report.usable:
            return fault(
                "data contract", "no usable lesion", "`ceus-site check FOLDER` tells every fault and its remedy"
            )
        said = f"{report.usable} usable lesions, {len(report.faults)} faults"
        if report.faults:
            return note("data contract", said, "`ceus-site check FOLDER` tells each and its remedy")
        return ok("data contract", said)

    def index(self) -> Finding:
        """The samples that the worker would hold. Raises ExpectedError."""
        site = load_site(self.folder)
        indexed = read_index(site)
        self._samples = load_samples(site, indexed.processing)
        if not self._samples:
            return fault("index", "it holds no lesion", "mend the table and run `ceus-site index` again")
        return ok("index", f"{len(self._samples)} lesions, processing {indexed.digest[:12]}")

    def audit(self) -> Finding:
        """Unchanged since it was written."""
        verdict = verify(load_site(self.folder).records)
        if not verdict.ok:
            return fault("audit", f"it was changed: {verdict.findings[0]}", "`ceus-site audit verify` tells all of it")
        return ok("audit", f"{verdict.entries} entries, unchanged")

    def read_one(self) -> Finding:
        """The first lesion of the table that can be read, from its files. Raises ExpectedError where none can."""
        site = load_site(self.folder)
        begun = time.monotonic()
        sample = _first(site)
        seconds = time.monotonic() - begun
        return ok(
            "dry run",
            f"one lesion read, followed and cut in {seconds:.1f} s ({len(sample.frames)} key frames); the table takes "
            f"about {seconds * max(1, len(self._samples)) / 60:.0f} min on one core",
        )

    def train_one(self) -> Finding:
        """One lesion through one net of the paper's size, forwards and backwards. Raises ExpectedError."""
        net, sample = _labelled(self._samples)
        device = device_of(load_policy(self.folder).machine)
        inputs = prefixed(initial_state(net, _RECIPE, 1), f"{net}|")
        task = Task("train", "", 1, "preflight", 1, (net,), (), inputs, LocalRule(batch_size=1), _RECIPE)
        with tempfile.TemporaryDirectory(prefix="ceus-preflight-") as scratch:
            begun = time.monotonic()
            WORK["train"](task, [sample], Place("preflight", SiteMemory(Path(scratch)), device))
            seconds = time.monotonic() - begun
        minutes = seconds * len(self._samples) / 60
        said = f"{seconds:.1f} s a lesion and net of the paper's size ({device.type}), {minutes:.0f} min an epoch"
        if minutes > 60:
            return note("throughput", said, "a graphics card, or more machine.threads in policy.yaml, shortens it")
        return ok("throughput", said)


def _first(site: SiteConfig) -> Sample:
    """Raises ExpectedError with the last reason where no lesion can be read."""
    processing = read_index(site).processing
    why = "the table holds none"
    for row in read_manifest(site).rows:
        try:
            return sample_of(row, site, processing)[0]
        except ExpectedError as error:
            why = f"row {row.line}: {error}"
    raise ExpectedError(f"no lesion can be read ({why}); `ceus-site check FOLDER` tells what to mend")


def _labelled(samples: Sequence[Sample]) -> tuple[str, Sample]:
    """A net and a lesion that has an answer for it."""
    for sample in samples:
        if sample.label in {net.partition("/")[2] for net in DISEASE_NETS}:
            return DISEASE_NETS[0], sample
        known = [net for net, value in zip(BIOMARKER_NETS, sample.biomarkers, strict=True) if not np.isnan(value)]
        if known:
            return known[0], sample
    raise ExpectedError("no indexed lesion has a type or a biomarker, so none can be trained on; fill fll_type")
