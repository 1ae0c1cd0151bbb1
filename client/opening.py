"""From a hospital's folder to the site that answers for it, the same for every way of running a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ceus_models.processing import Processing
from client.config import load_site
from client.samples import load_samples
from client.site import Site, silent


def open_site(folder: Path, processing: Processing, on_fault: Callable[[str], None] = silent) -> Site:
    """The site of an indexed folder; the folder's name is the site's.

    Raises ExpectedError (FaultList for site.yaml) where the folder or its index is not in order.
    """
    config = load_site(folder)
    return Site(
        name=config.folder.name,
        samples=load_samples(config, processing),
        processing=processing.digest(),
        policy=config.policy,
        memory=config.work / "memory",
        on_fault=on_fault,
    )
