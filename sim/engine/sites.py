"""Open sites in a simulation: the client's `Site` over one hospital, or over several pooled hospitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ceus_models.protocol.privacy.masks import derive_key
from ceus_models.runtime.atomic_files import write_first
from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import TEST_COHORTS
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import SiteConfig, load_site, read_secret
from client.policy.policy_file import load_policy
from client.worker.privacy.keys import NOISE
from client.worker.site.open_site import open_site
from client.worker.site.site import Site


@dataclass(frozen=True)
class HospitalOpener:
    """Opens a hospital by its site's name, as its worker does, without pauses. Picklable.

    With `audited` each site writes its audit log, which waits for the disk at every entry.
    """

    folders: Mapping[str, Path]
    processing: Processing
    audited: bool = False

    def moved_to(self, folder: Path) -> HospitalOpener:
        """The same hospitals, each in a folder of its name below `folder`."""
        return replace(self, folders={name: folder / name for name in self.folders})

    def __call__(self, site: str) -> Site:
        """The site, with its samples mapped into memory."""
        seed_noise(load_site(self.folders[site]))
        return open_site(self.folders[site], self.processing, audited=self.audited)


def seed_noise(hospital: SiteConfig) -> None:
    """Derive a phantom hospital's noise from its secret, so that a private run repeats; a real site draws its key."""
    key = hospital.work / "memory" / f"{NOISE}.key"
    if not key.exists():
        write_first(key, derive_key(read_secret(hospital), "noise of a phantom hospital"))


@dataclass(frozen=True)
class PooledOpener:
    """Opens one site with the training lesions of `learns_from` and the test lesions of all hospitals. Picklable."""

    folders: Mapping[str, Path]
    processing: Processing
    learns_from: frozenset[str]
    memory: Path

    def __call__(self, site: str) -> Site:
        """The pooled site; its policy is that of the first hospital."""
        configs = {name: load_site(folder) for name, folder in sorted(self.folders.items())}
        samples: list[Sample] = []
        for name, config in configs.items():
            own = load_samples(config, self.processing)
            samples += [s for s in own if s.cohort in TEST_COHORTS or name in self.learns_from]
        policy = load_policy(next(iter(configs.values())).folder)
        return Site(site, samples, self.processing.digest(), policy, self.memory)
