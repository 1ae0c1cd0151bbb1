"""Many samples open fast and within what a process may have open."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from toy_lesions import lesion

from ceus_models.study.processing import Processing
from client.data.dataset.cache import SAMPLE_SUFFIX, cache_folder, write_sample
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import SiteConfig, load_site

COUNT = 2000


def site_of(folder: Path, count: int) -> SiteConfig:
    """A site with an index of tiny samples, as `index` leaves it."""
    (folder / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n", encoding="utf-8")
    (folder / "lesions.csv").write_text("lesion_id\n" * count, encoding="utf-8")
    site = load_site(folder)
    written = cache_folder(site) / f"first{SAMPLE_SUFFIX}"
    write_sample(replace(lesion(1), groups={"sex": "male"}, quality={f"q{n}": 0.5 * n for n in range(25)}), written)
    names = [f"{number:064x}{SAMPLE_SUFFIX}" for number in range(count)]
    for name in names:
        written.with_name(name).write_bytes(written.read_bytes())
    lesions = [(n + 2, name) for n, name in enumerate(names)]
    write_index(site, Processing(), compute_file_digest(site.table), lesions, {})
    return site


def test_two_thousand_lesions_open_in_a_second_and_with_few_open_files(tmp_path: Path) -> None:
    site = site_of(tmp_path, COUNT)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = sum(1 for _ in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (others + 64, hard))
    try:
        begun = time.process_time()  # of this process: the machine may be shared
        samples = load_samples(site, Processing())
        spent = time.process_time() - begun
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(samples) == COUNT
    assert np.array_equal(samples[-1].frames, lesion(1).frames)
    assert spent < 1.0


def test_changes_to_a_sample_stay_private(tmp_path: Path) -> None:
    site = site_of(tmp_path, 1)
    one, again = load_samples(site, Processing())[0], load_samples(site, Processing())[0]
    one.frames[:] = 7
    assert np.array_equal(again.frames, lesion(1).frames)
