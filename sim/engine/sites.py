"""Sites as a simulation opens them: the client's own `Site`, over one hospital's folder or over several pooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ceus_models.study.processing import Processing
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import TEST_COHORTS
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site
from client.policy.policy_file import load_policy
from client.worker.site.open_site import open_site
from client.worker.site.site import Site


@dataclass(frozen=True)
class HospitalOpener:
    """Opens the hospital of a site's name, the way its own worker would, but for pauses and audit. Picklable.

    audited: keep each site's audit as well; every entry of it waits for the disk.
    """

    folders: Mapping[str, Path]
    processing: Processing
    audited: bool = False

    def __call__(self, site: str) -> Site:
        """The site, with its samples mapped into memory."""
        return open_site(self.folders[site], self.processing, audited=self.audited)


@dataclass(frozen=True)
class PooledOpener:
    """One site that holds what a baseline may learn from, and every center's test lesions. Picklable.

    learns_from: the hospitals whose lesions of training and validation cohorts it holds.
    """

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
