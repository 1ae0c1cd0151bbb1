"""Whether a site can be started: each thing that is missing, with its remedy, before any process runs."""

from __future__ import annotations

from pathlib import Path

from ceus_models.pki.enrolment import Kit, now
from ceus_models.runtime.errors import ExpectedError
from client.courier.approval import in_force
from client.courier.folder import CourierFolder
from client.courier.keys import last_request
from client.courier.kit import JoinFault, enrolled
from client.data.dataset.index_file import read_index
from client.data.forms.site_config import SiteConfig, load_site
from client.policy.policy_file import load_policy
from client.worker.audit.verify import verify


def ready_courier(courier: CourierFolder) -> Kit:
    """The kit of a courier that can be started.

    Raises ExpectedError: not enrolled, an expired certificate, a clock that is off, nothing approved, no place to
    write.
    """
    kit = enrolled(courier, now())
    if not any(one.federation == kit.federation for one in in_force(courier)):
        raise ExpectedError(
            "no bundle of this federation is approved, so every message would be refused; run `ceus-site approve "
            "FOLDER bundle.fab` with the bundle that came with the kit"
        )
    try:
        courier.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        courier.contact.touch()
    except OSError as error:
        raise ExpectedError(
            f"the courier cannot write to {courier.state} ({error.strerror}); let its user own that folder, and in a "
            "container mount one there"
        ) from None
    return kit


def ready_worker(folder: Path) -> SiteConfig:
    """The settings of a site whose worker can be started.

    Raises ExpectedError: faults of site.yaml or policy.yaml, an index that is missing or stale, an audit that was
    changed.
    """
    site = load_site(folder)
    load_policy(site.folder)
    read_index(site)
    verdict = verify(site.records)
    if not verdict.ok:
        raise ExpectedError(
            f"the audit was changed: {verdict.findings[0]}. `ceus-site audit verify` tells all of it; keep the files "
            "as evidence under other names, then start again: a new audit begins"
        )
    return site


def site_name(courier: CourierFolder) -> str:
    """The site's name in its federation, from its own request. Raises ExpectedError where that cannot be read."""
    request = last_request(courier)
    if request is None:
        raise JoinFault(
            "the site's name is in courier/request.json, which is missing or not readable here: run `ceus-site keys` "
            "and `join` first, or give --site NAME"
        )
    return request.site
