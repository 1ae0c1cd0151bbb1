"""Whether a site can train: its graphics card, and one lesion from file to trained net."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Architecture, LocalRule, Normaliser, Recipe, Task
from ceus_models.protocol.state import add_prefix
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.findings import Check, Finding, make_fault, make_note, make_ok
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import BIOMARKER_NETS, CLINICAL, CLINICAL_NAMES, DISEASE_NETS
from client.data.analysis.pipeline import build_sample
from client.data.dataset.index_file import read_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import SiteConfig, load_site
from client.data.table.manifest import read_manifest
from client.policy.machine import Machine
from client.policy.policy_file import load_policy
from client.worker.tasks.device import device_of
from client.worker.tasks.devices.compute_device import ComputeDevice
from client.worker.tasks.handlers import WORK
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory

_SIDE = 256
_RECIPE = Recipe(
    Architecture(), Normaliser(0.4, 0.2, 1.5, (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)), CLINICAL_NAMES[:2], {}
)


@dataclass
class Training:
    """folder: the site's."""

    folder: Path

    def checks(self) -> list[Check]:
        """All of them."""
        return [
            ("GPU", lambda: graphics(load_policy(self.folder).machine)),
            ("dry run", self.read_one),
            ("throughput", self.train_one),
        ]

    @cached_property
    def _samples(self) -> Sequence[Sample]:
        """Those that the worker would hold. Raises ExpectedError."""
        site = load_site(self.folder)
        return load_samples(site, read_index(site).processing)

    def read_one(self) -> Finding:
        """The first lesion of the table that can be read, from its files. Raises ExpectedError where none can."""
        site = load_site(self.folder)
        begun = time.monotonic()
        sample = _first(site)
        seconds = time.monotonic() - begun
        return make_ok(
            "dry run",
            f"one lesion read, followed and cut in {seconds:.1f} s ({len(sample.frames)} key frames); the table takes "
            f"about {seconds * max(1, len(self._samples)) / 60:.0f} min on one core",
        )

    def train_one(self) -> Finding:
        """One lesion through one net of the paper's size, forwards and backwards. Raises ExpectedError."""
        net, sample = _labelled(self._samples)
        device = device_of(load_policy(self.folder).machine)
        inputs = add_prefix(build_initial_state(net, _RECIPE, 1), f"{net}|")
        task = Task("train", "", 1, "preflight", 1, (net,), (), inputs, LocalRule(batch_size=1), _RECIPE)
        with tempfile.TemporaryDirectory(prefix="ceus-preflight-") as scratch:
            begun = time.monotonic()
            WORK["train"](task, [sample], Place("preflight", SiteMemory(Path(scratch)), ComputeDevice(device)))
            seconds = time.monotonic() - begun
        minutes = seconds * len(self._samples) / 60
        said = f"{seconds:.1f} s a lesion and net of the paper's size ({device.type}), {minutes:.0f} min an epoch"
        if minutes > 60:
            return make_note("throughput", said, "a graphics card, or more machine.threads in policy.yaml, shortens it")
        return make_ok("throughput", said)


def _first(site: SiteConfig) -> Sample:
    """Raises ExpectedError with the last reason where no lesion can be read."""
    processing = read_index(site).processing
    why = "the table holds none"
    for row in read_manifest(site).rows:
        try:
            return build_sample(row, site, processing)[0]
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


def graphics(machine: Machine) -> Finding:
    """The cards that policy.yaml lists do what the processor does. Raises ExpectedError where one is not there."""
    present = Path("/dev/nvidia0").exists()
    device = device_of(machine)
    if device.type == "cpu":
        if present:
            return make_note(
                "GPU", "the machine has one, and policy.yaml lists none", "list its number under machine.gpus to use it"
            )
        return make_ok("GPU", "none listed in policy.yaml; the processor trains")
    given = torch.randn(_SIDE, _SIDE, generator=torch.Generator().manual_seed(1))
    apart = float((given.to(device) @ given.to(device)).cpu().sub(given @ given).abs().max())
    name = torch.cuda.get_device_name(device)
    free = torch.cuda.mem_get_info(device)[0] / (1 << 30)
    if apart > 1.0:
        return make_fault(
            "GPU", f"{name} multiplies wrongly (off by {apart:.3g})", "update its driver, or list another card"
        )
    return make_ok("GPU", f"{name}, {free:.0f} GB free, torch {torch.__version__}")
