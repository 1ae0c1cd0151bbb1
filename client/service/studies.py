"""Studies by the names that people use, and what it means to leave one: the same for commands and console."""

from __future__ import annotations

from ceus_models.runtime.errors import ExpectedError, FaultList
from client.data.forms.site_config import SiteConfig
from client.policy.approved_studies import read_approved
from client.policy.policy import APPROVED, Policy
from client.policy.policy_file import PolicyFile, load_policy
from client.worker.site.opt_out import EVERY_STUDY, Participation, change_participation, read_participation
from client.worker.tasks.memory_layout import forget


def list_names(site: SiteConfig, policy: Policy | None) -> dict[str, str]:
    """Digest → name of every plan that was approved here or that the policy names. Raises ExpectedError."""
    named = {} if policy is None or policy.studies is None or policy.studies == APPROVED else policy.studies
    return {**read_approved(site.records).names(), **{digest: name for name, digest in named.items()}}


def find_names(site: SiteConfig) -> dict[str, str]:
    """Digest → name, as far as the site's files can be read: to show, not to decide."""
    try:
        return list_names(site, PolicyFile(site.folder).load_current().policy)
    except ExpectedError:
        return {}


def find_digests(site: SiteConfig, study: str | None) -> tuple[str, ...]:
    """The plans of a study that is named, or given by its digest; EVERY_STUDY for None. Raises ExpectedError."""
    if study is None:
        return (EVERY_STUDY,)
    if len(study) == 64 and not set(study) - set("0123456789abcdef"):
        return (study,)
    try:
        policy = load_policy(site.folder)
    except FaultList:  # a site must be able to leave whatever its policy says
        policy = None
    names = list_names(site, policy)
    found = tuple(digest for digest, name in names.items() if name == study)
    if found:
        return found
    known = ", ".join(dict.fromkeys(names.values())) or "none; give the plan's digest of 64 characters"
    raise ExpectedError(f"no study {study!r} is known here; known are {known}")


def leave_studies(site: SiteConfig, digests: tuple[str, ...], by: str) -> None:
    """Answer no task of these plans, and delete what the site keeps of them. Raises ExpectedError."""
    for digest in digests:
        change_participation(site.records, "withdraw", by, digest)
        forget(site.work / "memory", "" if digest == EVERY_STUDY else digest)


def join_studies(site: SiteConfig, digests: tuple[str, ...], by: str) -> Participation:
    """Take part in these plans again. Raises ExpectedError."""
    for digest in digests:
        change_participation(site.records, "rejoin", by, digest)
    return read_participation(site.records)
