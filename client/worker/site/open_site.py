"""From a hospital's folder to the site that answers for it, the same for every way of running a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ceus_models.protocol.software import read_software
from ceus_models.study.processing import Processing
from client.data.dataset.current_samples import CurrentSamples
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site
from client.policy.policy_file import PolicyFile, load_policy
from client.worker.audit.log import Audit
from client.worker.audit.recorder import open_recorder
from client.worker.site.consent import SiteConsent
from client.worker.site.machine_id import read_machine_id
from client.worker.site.restored_records import RestorationGuard
from client.worker.site.site import Site, silent
from client.worker.site.site_lesions import SiteLesions
from client.worker.tasks.device import bound, device_of, open_device
from client.worker.tasks.site_memory import SiteMemory

_KEEP_AFTER_S = 60.0


def open_site(
    folder: Path, processing: Processing, on_fault: Callable[[str], None] = silent, audited: bool = False
) -> Site:
    """The site of an indexed folder, under its policy as it is now; the folder's name is the site's.

    audited: whether it keeps an audit. A simulation does not: every entry waits for the disk.
    Raises ExpectedError (FaultList for site.yaml and policy.yaml) where the folder or its index is not in order.
    """
    config = load_site(folder)
    return Site(
        name=config.folder.name,
        samples=load_samples(config, processing),
        processing=processing.digest(),
        policy=load_policy(config.folder),
        memory=config.work / "memory",
        on_fault=on_fault,
        trail=open_recorder(Audit(config.records)) if audited else None,
    )


def open_own_site(folder: Path, name: str, log: Callable[[str], None]) -> Site:
    """The site as its hospital runs it: audited, paused and withdrawn by its commands, bound by its policy's machine.

    name: in the federation, "" for the folder's · its lesions are those of the last index, in the index's settings.

    A changed policy.yaml, a new index, a changed table and a patient's withdrawal hold from the next task on; another
    list of graphics cards needs a new start.
    Raises ExpectedError as `open_site`, and AuditError where the audit was changed.
    """
    config = load_site(folder)
    device = device_of(load_policy(config.folder).machine)
    trail = open_recorder(Audit(config.records))
    office = SiteConsent(
        file=PolicyFile(config.folder),
        records=config.records,
        memory=SiteMemory(config.work / "memory"),
        trail=trail,
        on_policy=lambda policy: bound(policy.machine, device),
        log=log,
    )
    office.policy()
    compute, memory = open_device(device, log), config.work / "memory"
    current = CurrentSamples(config)
    found = current.load()
    return Site(
        name=name or config.folder.name,
        samples=(),
        processing=found.processing,
        policy=office,
        memory=memory,
        compute=compute,
        on_fault=log,
        trail=trail,
        keep_after_s=_KEEP_AFTER_S,
        records=config.records,
        lesions=SiteLesions(current, config.records, memory, compute, log),
        restoration=RestorationGuard(config.records, read_machine_id(name or config.folder.name), log),
        software=read_software(),
    )
